#include "schema/net/http_address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static const uint8_t mapped_head[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool
is_v4(const struct tl_http_address *address)
{
	return memcmp(address->bytes, mapped_head, sizeof(mapped_head)) == 0;
}

bool
tl_http_address_parse(struct tl_slice text, struct tl_http_address *address_out)
{
	struct tl_http_address address;
	char string[INET6_ADDRSTRLEN];

	if (text.bytes == 0 || text.bytes >= sizeof(string))
		return false;
	memcpy(string, text.data, text.bytes);
	string[text.bytes] = '\0';
	memcpy(address.bytes, mapped_head, sizeof(mapped_head));
	if (strlen(string) != text.bytes ||
		(inet_pton(AF_INET, string, address.bytes + sizeof(mapped_head)) != 1 &&
			inet_pton(AF_INET6, string, address.bytes) != 1))
		return false;
	*address_out = address;
	return true;
}

bool
tl_http_address_of(const struct sockaddr *socket, struct tl_http_address *address_out)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (socket->sa_family == AF_INET) {
		memcpy(&v4, socket, sizeof(v4));
		memcpy(address_out->bytes, mapped_head, sizeof(mapped_head));
		memcpy(address_out->bytes + sizeof(mapped_head), &v4.sin_addr, 4);
		return true;
	}
	if (socket->sa_family == AF_INET6) {
		memcpy(&v6, socket, sizeof(v6));
		memcpy(address_out->bytes, &v6.sin6_addr, 16);
		return true;
	}
	return false;
}

struct tl_slice
tl_http_address_key(const struct tl_http_address *address)
{
	return tl_slice_of(address->bytes, is_v4(address) ? 16 : 8);
}

bool
tl_http_address_is_loopback(const struct tl_http_address *address)
{
	static const uint8_t one[16] = {[15] = 1};

	return is_v4(address) ? address->bytes[12] == 127 : memcmp(address->bytes, one, 16) == 0;
}

/* "address" or "address/bits". */
static bool
parse_net(struct tl_slice text, struct tl_http_net *net_out)
{
	const uint8_t *slash = text.bytes > 0 ? memchr(text.data, '/', text.bytes) : NULL;
	size_t bytes = slash != NULL ? (size_t)(slash - text.data) : text.bytes;
	uint32_t base, bits = 0;

	if (!tl_http_address_parse(tl_slice_of(text.data, bytes), &net_out->address))
		return false;
	base = is_v4(&net_out->address) ? 96 : 0;
	net_out->bits = 128;
	if (slash == NULL)
		return true;
	if (text.bytes - bytes < 2 || text.bytes - bytes > 4)
		return false;
	for (size_t i = bytes + 1; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		bits = bits * 10 + (uint32_t)(text.data[i] - '0');
	}
	net_out->bits = base + bits;
	return net_out->bits <= 128;
}

enum tl_err
tl_http_proxies_parse(const char *text, struct tl_http_proxies *proxies_out, struct tl_why *why)
{
	struct tl_http_proxies proxies = {.count = 0};

	while (*text != '\0') {
		size_t bytes = strcspn(text, ", ");

		if (bytes > 0 && proxies.count == TL_HTTP_PROXIES_MAX)
			return tl_fail(why, TL_ECONFIG, "at most %u proxies", TL_HTTP_PROXIES_MAX);
		if (bytes > 0 && !parse_net(tl_slice_of(text, bytes), &proxies.nets[proxies.count]))
			return tl_fail(why, TL_ECONFIG, "'%.*s' is no address and no network",
				(int)bytes, text);
		proxies.count += bytes > 0;
		text += bytes;
		text += strspn(text, ", ");
	}
	*proxies_out = proxies;
	return TL_OK;
}

static bool
is_in(const struct tl_http_net *net, const struct tl_http_address *address)
{
	uint32_t whole = net->bits / 8, rest = net->bits % 8;

	if (memcmp(net->address.bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       ((net->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

bool
tl_http_proxies_have(const struct tl_http_proxies *proxies, const struct tl_http_address *address)
{
	for (uint32_t i = 0; i < proxies->count; i++) {
		if (is_in(&proxies->nets[i], address))
			return true;
	}
	return false;
}

static struct tl_slice
trim(struct tl_slice text, const char *what)
{
	while (text.bytes > 0 && strchr(what, text.data[0]) && text.data[0] != '\0')
		text = tl_slice_of(text.data + 1, text.bytes - 1);
	while (text.bytes > 0 && strchr(what, text.data[text.bytes - 1]) &&
		text.data[text.bytes - 1] != '\0')
		text.bytes--;
	return text;
}

/* Takes the last of a list with commas off *rest. */
static struct tl_slice
take_last(struct tl_slice *rest)
{
	size_t at = rest->bytes;
	struct tl_slice last;

	while (at > 0 && rest->data[at - 1] != ',')
		at--;
	last = tl_slice_of(rest->data + at, rest->bytes - at);
	rest->bytes = at > 0 ? at - 1 : 0;
	return trim(last, " \t");
}

/* The value of for= in an element of Forwarded; empty without one. */
static struct tl_slice
find_for(struct tl_slice element)
{
	while (element.bytes > 0) {
		const uint8_t *end = memchr(element.data, ';', element.bytes);
		size_t bytes = end != NULL ? (size_t)(end - element.data) : element.bytes;
		struct tl_slice pair = trim(tl_slice_of(element.data, bytes), " \t");

		if (pair.bytes > 4 && strncasecmp((const char *)pair.data, "for=", 4) == 0)
			return tl_slice_of(pair.data + 4, pair.bytes - 4);
		bytes += end != NULL;
		element = tl_slice_of(element.data + bytes, element.bytes - bytes);
	}
	return element;
}

/* An address, perhaps quoted, in brackets, and with a port. */
static bool
parse_node(struct tl_slice node, struct tl_http_address *address_out)
{
	const uint8_t *end;

	node = trim(node, "\"");
	if (node.bytes > 0 && node.data[0] == '[') {
		end = memchr(node.data, ']', node.bytes);
		return end != NULL && tl_http_address_parse(tl_slice_of(node.data + 1,
								    (size_t)(end - node.data - 1)),
					      address_out);
	}
	if (tl_http_address_parse(node, address_out))
		return true;
	end = node.bytes > 0 ? memchr(node.data, ':', node.bytes) : NULL;
	return end != NULL &&
	       tl_http_address_parse(
		       tl_slice_of(node.data, (size_t)(end - node.data)), address_out);
}

struct tl_http_address
tl_http_client_address(const struct tl_http_address *peer, const struct tl_http_proxies *proxies,
	enum tl_http_forwarded which, struct tl_slice header)
{
	struct tl_http_address client = *peer;

	if (which == TL_HTTP_FORWARDED_NONE)
		return client;
	while (header.bytes > 0 && tl_http_proxies_have(proxies, &client)) {
		struct tl_slice node = take_last(&header);
		struct tl_http_address said;

		if (which == TL_HTTP_FORWARDED)
			node = find_for(node);
		if (!parse_node(node, &said))
			break;
		client = said;
	}
	return client;
}
