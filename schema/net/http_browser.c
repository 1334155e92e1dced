#include "schema/net/http_browser.h"

#include <string.h>
#include <strings.h>

#define VALUE_BYTES_MAX 64u

const char *
tl_http_cookie_name(bool is_tls)
{
	return is_tls ? "__Host-sid" : "tally_sid";
}

static bool
is_plain(struct tl_slice value)
{
	for (size_t i = 0; i < value.bytes; i++) {
		uint8_t c = value.data[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
			return false;
	}
	return value.bytes > 0 && value.bytes <= VALUE_BYTES_MAX;
}

/* Takes the next of "a=b; c=d" off *rest; false at the end. */
static bool
next_pair(struct tl_slice *rest, struct tl_slice *pair_out)
{
	const uint8_t *end;
	size_t bytes;

	while (rest->bytes > 0 && (rest->data[0] == ' ' || rest->data[0] == ';'))
		*rest = tl_slice_of(rest->data + 1, rest->bytes - 1);
	if (rest->bytes == 0)
		return false;
	end = memchr(rest->data, ';', rest->bytes);
	bytes = end != NULL ? (size_t)(end - rest->data) : rest->bytes;
	*pair_out = tl_slice_of(rest->data, bytes);
	*rest = tl_slice_of(rest->data + bytes, rest->bytes - bytes);
	while (pair_out->bytes > 0 && pair_out->data[pair_out->bytes - 1] == ' ')
		pair_out->bytes--;
	return true;
}

struct tl_slice
tl_http_cookie_find(struct tl_slice header, const char *name)
{
	const struct tl_slice none = {NULL, 0};
	size_t name_bytes = strlen(name);
	struct tl_slice found = none, pair;

	while (next_pair(&header, &pair)) {
		struct tl_slice value;

		if (pair.bytes <= name_bytes || pair.data[name_bytes] != '=' ||
			memcmp(pair.data, name, name_bytes) != 0)
			continue;
		value = tl_slice_of(pair.data + name_bytes + 1, pair.bytes - name_bytes - 1);
		if (!is_plain(value) || (found.bytes > 0 && !tl_slice_eq(found, value)))
			return none;
		found = value;
	}
	return found;
}

static bool
is_text(struct tl_slice value, const char *text)
{
	return value.bytes == strlen(text) &&
	       strncasecmp((const char *)value.data, text, value.bytes) == 0;
}

static bool
is_json(struct tl_slice content_type)
{
	static const char json[] = "application/json";
	size_t bytes = sizeof(json) - 1;

	return content_type.bytes >= bytes &&
	       strncasecmp((const char *)content_type.data, json, bytes) == 0 &&
	       (content_type.bytes == bytes || content_type.data[bytes] == ';' ||
		       content_type.data[bytes] == ' ');
}

/* "https://" and the host that was asked, port and all. */
static bool
is_own_origin(const struct tl_http_origin *origin)
{
	const char *scheme = origin->is_tls ? "https://" : "http://";
	size_t bytes = strlen(scheme);

	return origin->host.bytes > 0 && origin->origin.bytes == bytes + origin->host.bytes &&
	       memcmp(origin->origin.data, scheme, bytes) == 0 &&
	       strncasecmp((const char *)origin->origin.data + bytes,
		       (const char *)origin->host.data, origin->host.bytes) == 0;
}

enum tl_err
tl_http_origin_check(const struct tl_http_origin *origin, struct tl_why *why)
{
	if (!is_text(origin->tally, "1"))
		return tl_fail(why, TL_ECSRF_FAILED, "the header X-Tally: 1 is missing");
	if (origin->content_type.bytes > 0 && !is_json(origin->content_type))
		return tl_fail(why, TL_ECSRF_FAILED, "the body must be application/json");
	if (origin->origin.bytes == 0 && origin->fetch_site.bytes == 0)
		return tl_fail(why, TL_EORIGIN_NOT_ALLOWED, "Origin is missing");
	if (origin->origin.bytes > 0 && !is_own_origin(origin))
		return tl_fail(why, TL_EORIGIN_NOT_ALLOWED, "Origin is not this server");
	if (origin->fetch_site.bytes > 0 && !is_text(origin->fetch_site, "same-origin"))
		return tl_fail(why, TL_EORIGIN_NOT_ALLOWED, "the request is of another site");
	return TL_OK;
}
