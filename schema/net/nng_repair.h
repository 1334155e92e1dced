/*
 * A repair of nng 1.5.2 from outside. Its stream transports go on with a half done transfer by
 * submitting the same aio again; when the pipe was closed in the meantime, that is refused without
 * a callback, and the thread that clears away closed pipes waits for it for ever. From then on the
 * process frees no pipe, dials no server again and never ends a close. Measured: one server killed
 * under load out of 20 to 45 did that to a client.
 */
#ifndef TL_NET_NNG_REPAIR_H
#define TL_NET_NNG_REPAIR_H

#include <stdint.h>

/* Before the first socket. Any thread, any number of times. */
void tl_nng_repair_start(void);

/* How often a lost callback was made up for, in this process. */
uint64_t tl_nng_repair_count(void);

#endif
