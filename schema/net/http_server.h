/*
 * An HTTP server for a table of routes; libmicrohttpd stops here. Its threads only move bytes: a
 * whole request waits in a bounded queue with its connection suspended, a worker answers it, the
 * connection goes on. What RELIABILITY asks of the input is checked before any route is looked up,
 * and every phase of a connection has a deadline (http_conns).
 */
#ifndef TL_NET_HTTP_SERVER_H
#define TL_NET_HTTP_SERVER_H

#include "schema/net/http_address.h"
#include "schema/net/http_body.h"
#include "schema/net/http_conns.h"
#include "schema/net/http_target.h"
#include "schema/wire/frame.h"

struct tl_http_server;

struct tl_http_options {
	const char *address; /* "127.0.0.1:8787", "[::1]:8787"; port 0 takes a free one */
	const struct tl_http_route *routes; /* lives as long as the server */
	uint32_t route_count;
	void *arg;		  /* of every route */
	const char *const *hosts; /* names a request may be for, without port, in lower case */
	uint32_t host_count;
	bool is_behind_tls; /* a proxy before us speaks TLS: browsers are told to stay with it */
	/* Then only these and this machine may connect; NULL: no proxy is there. */
	const struct tl_http_proxies *proxies;
	enum tl_http_forwarded forwarded; /* where they say who asks */
	uint32_t worker_count;
	uint32_t waiting_max; /* requests between the two; past it: 503 overloaded */
	uint32_t connection_max;
	uint32_t per_address_max; /* 0: no bound, for when a proxy stands before us */
	struct tl_http_deadlines deadlines;
};

/* Heads 5 s, bodies 10 s and 1 KB/s, answers 30 s, idle 30 s; 4,096 connections, 64 an address. */
extern const struct tl_http_options tl_http_defaults;

/* Listens before it returns. TL_ECONFIG for what is no address, TL_EIO with the address in why. */
TL_MUST enum tl_err tl_http_server_start(const struct tl_http_options *options,
	struct tl_http_server **server_out, struct tl_why *why);

/* Whether only this machine can reach the address. */
bool tl_http_is_loopback(const char *address);

uint16_t tl_http_server_port(const struct tl_http_server *server);

/*
 * No new connections; what waits is answered, and has up to two seconds to leave. What comes
 * meanwhile gets shutting_down. NULL is fine.
 */
void tl_http_server_stop(struct tl_http_server *server);

struct tl_http_stats {
	struct tl_counter requests;
	struct tl_counter refused;    /* before a route ran */
	struct tl_counter overloaded; /* the queue was full */
	struct tl_counter strangers;  /* connections of no proxy */
	struct tl_counter replies[6]; /* by hundreds of the status */
	const struct tl_http_conns_stats *conns;
};

const struct tl_http_stats *tl_http_server_stats_of(const struct tl_http_server *server);
uint32_t tl_http_server_conns(const struct tl_http_server *server, enum tl_http_phase phase);

/* For a route's start: the request was answered; or a worker is to run it. It is not ours then. */
void tl_http_request_done(struct tl_http_request *request);
void tl_http_request_hand_on(struct tl_http_request *request);

/* For routes: the request, valid until run returns, or until it is done or handed on. */
enum tl_http_method tl_http_request_method(const struct tl_http_request *request);
const struct tl_http_target *tl_http_request_target(const struct tl_http_request *request);
struct tl_slice tl_http_request_id(const struct tl_http_request *request); /* {name}, or empty */
struct tl_slice tl_http_request_header(const struct tl_http_request *request, const char *name);
struct tl_slice tl_http_request_body(const struct tl_http_request *request);

/* A name for this request, in its reply's X-Request-Id and in logs. */
const char *tl_http_request_name(const struct tl_http_request *request);

/* Who asks: the peer, or whom a proxy of ours speaks for. */
struct tl_http_address tl_http_request_client(const struct tl_http_request *request);

/* The line of the table that this is a request of. */
const struct tl_http_route *tl_http_request_route(const struct tl_http_request *request);

/* Whether the asker speaks TLS with a proxy before us. */
bool tl_http_request_is_tls(const struct tl_http_request *request);

/* The secret behind "Authorization: Bearer"; empty when there is none. */
struct tl_slice tl_http_request_bearer(const struct tl_http_request *request);

/*
 * The answer: exactly one of these, once. The body is taken over (NULL: none); static texts.
 * Replies are not stored by anybody unless a header "Cache-Control" says otherwise.
 */
void tl_http_reply(struct tl_http_request *request, int status, const char *content_type,
	struct tl_http_body *body);
void tl_http_reply_error(
	struct tl_http_request *request, enum tl_err err, const struct tl_error_detail *detail);

#define TL_HTTP_REPLY_HEADER_BYTES 192

/*
 * An answer that many requests may have: 200, its headers and its body, but for a name of its own.
 * Made from the headers put so far (the request is not answered by that); body is held. NULL
 * without memory. Counted: each who has one drops it.
 */
struct tl_http_ready;

struct tl_http_ready *tl_http_ready_new(
	struct tl_http_request *request, const char *content_type, struct tl_http_body *body);
void tl_http_ready_drop(struct tl_http_ready *ready);

/* Answer with it: for an asker that takes what the one it was made from took. */
void tl_http_reply_ready(struct tl_http_request *request, struct tl_http_ready *ready);

/* Whether the asker takes gzip. */
bool tl_http_request_takes_gzip(const struct tl_http_request *request);

/* Before the answer; value is copied. */
void tl_http_reply_header(struct tl_http_request *request, const char *name, const char *value);

/* Whether the asker prefers msgpack to JSON. */
bool tl_http_request_takes_msgpack(const struct tl_http_request *request);

#endif
