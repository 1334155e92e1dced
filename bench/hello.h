/*
 * A bare libmicrohttpd that answers at once and does nothing else: what a request over HTTP costs
 * on this machine at this moment. As many threads as tally-http gives the library.
 */
#ifndef BENCH_HELLO_H
#define BENCH_HELLO_H

#include <stdint.h>
#include <sys/types.h>

/* GET /N is answered with N bytes, at most HELLO_BYTES_MAX. The process dies with its parent. */
#define HELLO_BYTES_MAX (1u << 20)

pid_t hello_start(uint16_t *port_out);
void hello_stop(pid_t pid);

#endif
