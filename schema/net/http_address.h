/*
 * Who a request comes from when proxies stand between: addresses of peers, which of them are
 * proxies of ours, and what those say of whom they speak for. Pure.
 */
#ifndef TL_NET_HTTP_ADDRESS_H
#define TL_NET_HTTP_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/base/err.h"

#define TL_HTTP_PROXIES_MAX 32u

/* IPv6, or IPv4 as ::ffff:a.b.c.d. */
struct tl_http_address {
	uint8_t bytes[16];
};

/* "192.0.2.1", "2001:db8::1"; nothing else. */
TL_MUST bool tl_http_address_parse(struct tl_slice text, struct tl_http_address *address_out);

/* Of a socket; false for one that is neither IPv4 nor IPv6. */
struct sockaddr;
bool tl_http_address_of(const struct sockaddr *socket, struct tl_http_address *address_out);

/* What counts as one asker: the address, of IPv6 its first 64 bits. Points into address. */
struct tl_slice tl_http_address_key(const struct tl_http_address *address);

bool tl_http_address_is_loopback(const struct tl_http_address *address);

struct tl_http_proxies {
	struct tl_http_net {
		struct tl_http_address address;
		uint32_t bits; /* of the address that count, up to 128 */
	} nets[TL_HTTP_PROXIES_MAX];
	uint32_t count;
};

/* "10.0.0.1, 10.1.0.0/16, 2001:db8::/32"; TL_ECONFIG names what is wrong. */
TL_MUST enum tl_err tl_http_proxies_parse(
	const char *text, struct tl_http_proxies *proxies_out, struct tl_why *why);
bool tl_http_proxies_have(
	const struct tl_http_proxies *proxies, const struct tl_http_address *address);

/* Which header the proxies write. The other one is the client's own invention. */
enum tl_http_forwarded {
	TL_HTTP_FORWARDED_NONE,
	TL_HTTP_FORWARDED_FOR, /* X-Forwarded-For */
	TL_HTTP_FORWARDED,     /* Forwarded, RFC 7239 */
};

/*
 * The last address in the header that is no proxy, each being said by the one behind it, which
 * must be a proxy to be believed. peer when peer is none, or when what it says cannot be read.
 */
struct tl_http_address tl_http_client_address(const struct tl_http_address *peer,
	const struct tl_http_proxies *proxies, enum tl_http_forwarded which,
	struct tl_slice header);

#endif
