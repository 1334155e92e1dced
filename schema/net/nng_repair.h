/*
 * Repairs of nng 1.5.2 from outside; both faults are certain or frequent, and both are for ever.
 *
 * A lost callback. The stream transports go on with a half done transfer by submitting its aio
 * again. When the pipe was closed in the meantime that is refused without a callback, and the
 * thread that clears away closed pipes waits for it until the process ends: no pipe is freed any
 * more, no server dialled again, no close returns. A server killed under load did that to its
 * clients once in 20 to 45 times, and a client killed under load does it to the server.
 *
 * A peer that closes an ipc connection before the greetings are through. nng reads EPIPE as its own
 * closing: a listener never accepts again, a dialer never dials again. Connecting and closing at
 * once is enough, every time.
 */
#ifndef TL_NET_NNG_REPAIR_H
#define TL_NET_NNG_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before the first socket. Any thread, any number of times. */
void tl_nng_repair_start(void);

/* How often a repair was needed in this process. */
uint64_t tl_nng_repair_count(void);

/* True for a return address inside libnng. */
bool tl_nng_is_caller(const void *code);

/* Called for all that nng sends from now on, on its threads, with nng's locks held. */
void tl_nng_on_sent(void (*on_sent)(int fd, size_t bytes));

#endif
