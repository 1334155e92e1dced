/*
 * The connections of an HTTP server and their deadlines. libmicrohttpd only knows inactivity, so a
 * peer that sends a byte now and then would stay for ever: here every phase has an end, and who is
 * past it is shut down. Any thread may call anything.
 */
#ifndef TL_NET_HTTP_CONNS_H
#define TL_NET_HTTP_CONNS_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/base/counter.h"

/* X(symbol, name) */
#define TL_HTTP_PHASE_LIST(X)                                                              \
	X(TL_HTTP_HEAD, "head")	    /* of a request, or nothing yet on a new connection */ \
	X(TL_HTTP_BODY, "body")	    /* being received */                                   \
	X(TL_HTTP_WORK, "work")	    /* being answered: the server's own time */            \
	X(TL_HTTP_WRITE, "write")   /* the answer is on its way */                         \
	X(TL_HTTP_STREAM, "stream") /* so is one that goes on, for as long as it does */   \
	X(TL_HTTP_IDLE, "idle")	    /* between requests */

enum tl_http_phase {
#define X(symbol, name) symbol,
	TL_HTTP_PHASE_LIST(X)
#undef X
		TL_HTTP_PHASE_COUNT
};

const char *tl_http_phase_name(enum tl_http_phase phase);

struct tl_http_deadlines {
	int64_t head_ms;
	int64_t body_ms;  /* and a second more for each TL_HTTP_BODY_RATE bytes that came */
	int64_t write_ms; /* and a second more for each TL_HTTP_WRITE_RATE bytes of the answer */
	int64_t idle_ms;
};

#define TL_HTTP_BODY_RATE 1024
#define TL_HTTP_WRITE_RATE 16384

struct tl_http_conns_stats {
	struct tl_counter opened;
	struct tl_counter reaped[TL_HTTP_PHASE_COUNT];
};

struct tl_http_conns;
struct tl_http_conn;

/*
 * Starts the thread that looks at the deadlines. timeout_reply: sent to a peer that is late with a
 * request it began; static bytes.
 */
TL_MUST enum tl_err tl_http_conns_start(const struct tl_http_deadlines *deadlines,
	uint32_t count_max, struct tl_slice timeout_reply, struct tl_http_conns **conns_out);

/* Every connection is closed already. NULL is fine. */
void tl_http_conns_stop(struct tl_http_conns *conns);

/*
 * A connection from its accept to its close, before which its owner must not close fd. When nine
 * tenths of count_max are open, the oldest that has not sent a whole head goes. NULL: no memory.
 */
struct tl_http_conn *tl_http_conn_open(struct tl_http_conns *conns, int fd);
void tl_http_conn_close(struct tl_http_conns *conns, struct tl_http_conn *conn);

/* The connection enters a phase, or goes on in it; bytes: of its body or its answer, so far. */
void tl_http_conn_phase(struct tl_http_conns *conns, struct tl_http_conn *conn,
	enum tl_http_phase phase, uint64_t bytes);

/*
 * Whether the peer has closed; and close it from here: its owner sees end-of-file. For a connection
 * that stays open meanwhile.
 */
bool tl_http_conn_is_gone(const struct tl_http_conn *conn);
void tl_http_conn_shut(const struct tl_http_conn *conn);

/* How many are in a phase. */
uint32_t tl_http_conns_count(struct tl_http_conns *conns, enum tl_http_phase phase);

const struct tl_http_conns_stats *tl_http_conns_stats_of(const struct tl_http_conns *conns);

#endif
