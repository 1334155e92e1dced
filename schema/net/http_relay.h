/*
 * Between HTTP and tallyd: a request becomes one question over nng with the asker's own credential
 * in it, the reply goes back as JSON or as msgpack. Nothing is decided here: who may do what is
 * asked of tallyd, every time.
 */
#ifndef TL_NET_HTTP_RELAY_H
#define TL_NET_HTTP_RELAY_H

#include "schema/base/rate.h"
#include "schema/net/http_server.h"
#include "schema/net/req_client.h"
#include "schema/wire/pack.h"

/* Which socket of tallyd. */
enum tl_relay_door { TL_RELAY_QUERY, TL_RELAY_INGEST, TL_RELAY_DOORS };

enum tl_relay_kind {
	TL_RELAY_TEXT,
	TL_RELAY_INT,
	TL_RELAY_BOOL,
	TL_RELAY_USD,  /* dollars: text, or a JSON number, which is passed on as text */
	TL_RELAY_TIME, /* Unix milliseconds or RFC 3339 */
};

/* A parameter of the address (GET) or a member of the JSON body (all others). */
struct tl_relay_field {
	const char *name; /* NULL ends the list */
	const char *wire; /* what tallyd calls it, when that differs; "": it is not told */
	enum tl_relay_kind kind;
	const char *one_of; /* "cost|tokens|requests", NULL: anything */
	const char *about;
	bool is_required;
};

/* Who may ask, for who reads the document; tallyd decides, and a test holds both together. */
enum tl_relay_who {
	TL_RELAY_ANYBODY,
	TL_RELAY_MEMBER,    /* personal or service token, a session */
	TL_RELAY_AUDITOR,   /* an admin, a service token */
	TL_RELAY_ADMIN,	    /* a token or a session of an admin */
	TL_RELAY_GATEWAY,   /* a gateway's token */
	TL_RELAY_ANY_TOKEN, /* whoever has a credential of any kind */
	TL_RELAY_AGENT,	    /* an agent's key, or a gateway's token */
};

/*
 * A line of the one table of routes, which the server answers from and the document is written
 * from. The path's {name} goes to tallyd as id_wire.
 */
struct tl_relay_route {
	enum tl_http_method method;
	const char *path;
	bool (*start)(struct tl_http_request *request, const struct tl_http_route *route,
		void *arg); /* of GET alone, before run; see tl_http_route */
	void (*run)(struct tl_http_request *request, const struct tl_http_route *route, void *arg);
	const char *op; /* NULL: answered without tallyd, or not as a question */
	const char *id_wire;
	const struct tl_relay_field *fields; /* NULL: none */
	uint32_t body_bytes_max;
	enum tl_relay_who who;
	const char *tag;	/* the chapter of the document */
	const char *summary;	/* one sentence */
	const char *body;	/* the schema of a body that is no list of fields, */
	const char *body_types; /* and what it may come as beside JSON, "a|b"; NULL: nothing */
	const char *reply;	/* the schema of the reply */
	const char *reply_type; /* its content type; NULL: JSON, or msgpack for who asks */
	bool sets_cookie;	/* asked from pages of ours alone, whoever asks */
	bool wants_url;		/* tallyd is told the address that this server was reached at */
	bool takes_code;	/* a secret is tried by asking: few tries an address */
};

/* Wrong credentials of one address, or for one key id, in a minute. */
#define TL_RELAY_FAILURES_MAX 10

struct tl_relay_stats {
	struct tl_counter csrf_failed, origin_not_allowed, rate_limited;
};

struct tl_relay {
	struct tl_req_client *clients[TL_RELAY_DOORS];
	struct tl_rate *failures; /* by address and by key id */
	struct tl_relay_stats stats;
	int64_t timeout_ms;
	struct figures_kept *kept;     /* of query/api */
	struct fresh *fresh;	       /* likewise */
	struct live *live;	       /* likewise */
	struct exports *exports;       /* likewise */
	struct tl_http_body *document; /* the description of all routes */
	struct tl_prices *prices;      /* for usage that comes without a cost */
};

/* "anybody", "member", "auditor", "admin", "gateway", "agent", "any". Static. */
const char *tl_relay_who_name(enum tl_relay_who who);

/* Names by url; tallyd need not be there yet. On failure nothing is left open. */
TL_MUST enum tl_err tl_relay_open(struct tl_relay *relay, const char *query_url,
	const char *ingest_url, int64_t timeout_ms, struct tl_why *why);
void tl_relay_close(struct tl_relay *relay);

/*
 * What every route runs through: a request that would change something on behalf of a browser must
 * come from a page of this server (http_browser), and who tried many wrong codes waits. Then the
 * route's own run.
 */
void tl_relay_run(struct tl_http_request *request, const struct tl_http_route *http, void *arg);

/* Who is asking: the bearer token, else the session in the cookie, else empty. */
struct tl_slice tl_relay_credential(const struct tl_http_request *request);

/* A question begins: v, op, the token if there is one, the path's {name}. The caller closes it. */
struct tl_pack_open tl_relay_question(struct tl_buf *question,
	const struct tl_http_request *request, const struct tl_relay_route *route);

/*
 * Ask. On success *reply is a checked map that is ok. Else the request was answered with the error
 * and the result says which. A wrong credential is rate_limited when its address or its key id had
 * TL_RELAY_FAILURES_MAX in this minute; a right one never is.
 */
TL_MUST enum tl_err tl_relay_ask(struct tl_relay *relay, struct tl_http_request *request,
	enum tl_relay_door door, const struct tl_buf *question, struct tl_buf *reply);

/* Why tallyd, or its silence, refused; the detail's texts are beside it. */
struct tl_relay_refusal {
	struct tl_error_detail detail;
	char message[sizeof(((struct tl_why *)0)->text)];
	char field[64];
};

/* The same, but nothing is answered: whoever has another shape of errors reads *refusal_out. */
TL_MUST enum tl_err tl_relay_call(struct tl_relay *relay, const struct tl_http_request *request,
	enum tl_relay_door door, const struct tl_buf *question, struct tl_buf *reply,
	struct tl_relay_refusal *refusal_out);

/*
 * The request's body as it was before it was compressed, at most bytes_max then: the body itself,
 * or what its gzip stream inflates to in *plain. TL_EBAD_CONTENT_TYPE for another Content-Encoding.
 */
TL_MUST enum tl_err tl_relay_plain(const struct tl_http_request *request, size_t bytes_max,
	struct tl_buf *plain, struct tl_slice *body_out, struct tl_why *why);

/* A reply map as the body the asker takes: msgpack as it is, or JSON. */
TL_MUST enum tl_err tl_relay_body(const struct tl_http_request *request, struct tl_slice reply,
	struct tl_http_body **body_out);

/* A reply map without some of its members; names ends with NULL. */
void tl_relay_leave_out(struct tl_slice reply, const char *const *names, struct tl_buf *bare);

/* Answer with a reply map. */
void tl_relay_reply(struct tl_http_request *request, int status, struct tl_slice reply);

/* Answer with an error whose text says which field: "name: what is wrong". */
void tl_relay_refuse(
	struct tl_http_request *request, enum tl_err err, const char *field, const char *message);

/* The content type of what tl_relay_body makes. */
const char *tl_relay_content_type(const struct tl_http_request *request);

#endif
