/*
 * What decides who is asking before tallyd is: cookies, the origin of a page, addresses that
 * proxies write, and the head itself. The first byte says which, lines separate the fields.
 */
#include <stdio.h>
#include <string.h>

#include "schema/net/http_address.h"
#include "schema/net/http_browser.h"
#include "schema/net/http_head.h"
#include "tests/fuzz/fuzz.h"

/* The next line of *rest. */
static struct tl_slice
take_line(struct tl_slice *rest)
{
	const uint8_t *end = rest->bytes > 0 ? memchr(rest->data, '\n', rest->bytes) : NULL;
	size_t bytes = end != NULL ? (size_t)(end - rest->data) : rest->bytes;
	struct tl_slice line = tl_slice_of(rest->data, bytes);

	*rest = tl_slice_of(
		rest->data + bytes + (end != NULL), rest->bytes - bytes - (end != NULL));
	return line;
}

/* What was found stands there as name=value, and is nothing but letters and digits. */
static void
check_cookie(struct tl_slice header)
{
	const char *name = tl_http_cookie_name(false);
	struct tl_slice value = tl_http_cookie_find(header, name);
	size_t name_bytes = strlen(name);

	if (value.bytes == 0)
		return;
	assert(value.bytes <= 64);
	assert(value.data >= header.data + name_bytes + 1);
	assert(value.data + value.bytes <= header.data + header.bytes);
	assert(value.data[-1] == '=');
	assert(memcmp(value.data - 1 - name_bytes, name, name_bytes) == 0);
	for (size_t i = 0; i < value.bytes; i++)
		assert((value.data[i] >= '0' && value.data[i] <= '9') ||
			((value.data[i] | 0x20) >= 'a' && (value.data[i] | 0x20) <= 'z'));
}

static void
check_origin(struct tl_slice rest)
{
	struct tl_http_origin origin = {
		.tally = take_line(&rest),
		.content_type = take_line(&rest),
		.origin = take_line(&rest),
		.fetch_site = take_line(&rest),
		.host = take_line(&rest),
	};
	struct tl_why why = {""};
	enum tl_err err = tl_http_origin_check(&origin, &why);

	assert(!err || err == TL_ECSRF_FAILED || err == TL_EORIGIN_NOT_ALLOWED);
	if (err)
		return;
	assert(tl_slice_eq(origin.tally, tl_slice_str("1")));
	assert(origin.origin.bytes > 0 || origin.fetch_site.bytes == strlen("same-origin"));
	assert(origin.origin.bytes == 0 ||
		origin.origin.bytes == strlen("http://") + origin.host.bytes);
}

static void
check_address(struct tl_slice rest)
{
	static const struct tl_http_address nobody;
	struct tl_http_proxies proxies;
	struct tl_http_address peer, client;
	struct tl_slice line = take_line(&rest);
	char text[256];

	snprintf(text, sizeof(text), "%.*s", (int)(line.bytes < 255 ? line.bytes : 255),
		line.bytes > 0 ? (const char *)line.data : "");
	if (tl_http_proxies_parse(text, &proxies, NULL))
		return;
	assert(proxies.count <= TL_HTTP_PROXIES_MAX);
	if (!tl_http_address_parse(take_line(&rest), &peer))
		peer = nobody;
	for (int which = 0; which <= TL_HTTP_FORWARDED; which++) {
		client = tl_http_client_address(
			&peer, &proxies, (enum tl_http_forwarded)which, rest);
		/* Who is no proxy speaks for itself alone. */
		assert(tl_http_proxies_have(&proxies, &peer) ||
			memcmp(&client, &peer, sizeof(peer)) == 0);
		assert(tl_http_address_key(&client).bytes > 0);
	}
}

static void
check_head(struct tl_slice rest)
{
	static const char *const hosts[] = {"localhost", "tally.test"};
	struct tl_http_head head = {0};
	struct tl_why why = {""};

	while (rest.bytes > 0) {
		struct tl_slice line = take_line(&rest);
		const uint8_t *colon = memchr(line.data, ':', line.bytes);
		size_t bytes = colon != NULL ? (size_t)(colon - line.data) : line.bytes;

		tl_http_head_add(&head, tl_slice_of(line.data, bytes),
			tl_slice_of(line.data + bytes + (colon != NULL),
				line.bytes - bytes - (colon != NULL)),
			hosts, 2);
	}
	if (tl_http_head_check(&head, &why))
		return;
	assert(head.host_count == 1);
	assert(head.length_count + head.coding_count <= 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice rest;

	if (bytes == 0)
		return 0;
	rest = tl_slice_of(data + 1, bytes - 1);
	switch (data[0] % 4) {
	case 0:
		check_cookie(rest);
		break;
	case 1:
		check_origin(rest);
		break;
	case 2:
		check_address(rest);
		break;
	case 3:
		check_head(rest);
		break;
	}
	return 0;
}
