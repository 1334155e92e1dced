/*
 * A process that answers over nng and does nothing else: what a round trip of so many bytes costs
 * on this machine at this moment. It stands on the same schema/net/rep_server as tallyd.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <stdint.h>
#include <sys/types.h>

#include "schema/base/bytes.h"

enum echo_type {
	ECHO_SIZED, /* the first four bytes of a request say how many bytes the reply has */
	ECHO_ACK,   /* every request gets the answer of a batch that was taken */
};

/* The calling process must not have used nng. The process dies with its parent. */
pid_t echo_start(const char *url, enum echo_type type);
void echo_stop(pid_t pid);

/* A request as long as like, for a reply of reply_bytes; replaces buf's content. */
void echo_put_request(struct tl_buf *buf, struct tl_slice like, uint32_t reply_bytes);

#endif
