/*
 * Raw REP0 over tcp and ipc: the header stays with the message, any thread replies later. nng
 * stops in this folder. Traps of nng 1.5.2 that shaped this: REP contexts park on a peer that does
 * not read, so the raw protocol; RECVMAXSZ is unlimited by default; nothing may be closed under
 * load; callbacks must not block.
 */
#ifndef TL_NET_REP_SERVER_H
#define TL_NET_REP_SERVER_H

#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/base/queue.h"

struct tl_rep_server;

/* One message in, one reply out. Owned by whoever popped it from the queue. */
struct tl_rep_request;

struct tl_rep_options {
	const char *const *urls; /* tcp://127.0.0.1:7411, ipc:///path; a tcp url may end in :0 */
	size_t url_count;
	struct tl_queue *queue;	      /* receives struct tl_rep_request *, sized by its body */
	struct tl_slice full_reply;   /* sent at once while the queue is full; static bytes */
	struct tl_slice closed_reply; /* sent once the queue is closed; static bytes */
	uint32_t receive_count;	      /* parallel receives, 8 when 0 */
};

/*
 * Listens before it returns; ipc sockets get mode 0600 and a stale socket file is replaced.
 * TL_EIO with the address in why.
 */
TL_MUST enum tl_err tl_rep_server_start(const struct tl_rep_options *options,
	struct tl_rep_server **server_out, struct tl_why *why);

/* The tcp port in use (0: no tcp url). */
uint16_t tl_rep_server_port(const struct tl_rep_server *server);

/* Messages still in flight are flushed for up to 200 ms, then all is closed. NULL is fine. */
void tl_rep_server_stop(struct tl_rep_server *server);

/* Valid until the request is replied to or dropped. */
struct tl_slice tl_rep_request_body(const struct tl_rep_request *request);

/* Monotonic time of arrival. */
int64_t tl_rep_request_received_us(const struct tl_rep_request *request);

/* Send and free; copies the bytes. Never waits: a peer that does not read loses its reply. */
void tl_rep_request_reply(struct tl_rep_request *request, struct tl_slice reply);

/* Free without an answer; the peer's own deadline will tell it. */
void tl_rep_request_drop(struct tl_rep_request *request);

struct tl_rep_stats {
	uint64_t received, replied, refused_full;
	uint32_t pipes;
};

void tl_rep_server_stats(const struct tl_rep_server *server, struct tl_rep_stats *stats_out);

#endif
