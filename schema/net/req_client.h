/*
 * REQ0 with our own monotonic deadline (nng 1.5.2's timers follow the wall clock) and resend.
 * Several calls may be outstanding on one client; each has its own nng context.
 */
#ifndef TL_NET_REQ_CLIENT_H
#define TL_NET_REQ_CLIENT_H

#include <stdint.h>

#include "schema/base/bytes.h"

struct tl_req_client;

/* Dials in the background: a server that is not there yet is not an error. */
TL_MUST enum tl_err tl_req_client_open(
	const char *url, struct tl_req_client **client_out, struct tl_why *why);

/* No call may be outstanding. NULL is fine. */
void tl_req_client_close(struct tl_req_client *client);

/*
 * Send and wait: the reply is appended to *reply. TL_ETIMEOUT after timeout_ms (the request may or
 * may not have been served), TL_EIO for what nng says. Any thread; calls run in parallel.
 */
TL_MUST enum tl_err tl_req_client_call(struct tl_req_client *client, struct tl_slice request,
	int64_t timeout_ms, struct tl_buf *reply, struct tl_why *why);

/* The same in two halves, so that one thread can keep several requests outstanding. */
struct tl_req_call;

TL_MUST enum tl_err tl_req_call_start(struct tl_req_client *client, struct tl_slice request,
	struct tl_req_call **call_out, struct tl_why *why);

/* Ends the call in every case; NULL afterwards belongs to the caller's variable. */
TL_MUST enum tl_err tl_req_call_finish(
	struct tl_req_call *call, int64_t timeout_ms, struct tl_buf *reply, struct tl_why *why);

#endif
