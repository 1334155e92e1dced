/*
 * What has come in on one connection of nng's stream transports: a greeting, then frames. Pure: it
 * is told the bytes and the time, and knows whether something was begun and not finished.
 */
#ifndef TL_NET_INFLOW_H
#define TL_NET_INFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TL_INFLOW_HEAD_BYTES_MAX 9u

/*
 * nng allocates a frame at its announced length, with calloc. From the heap that clears memory that
 * was used before, all of it; a mapping of its own costs only what is received. So larger ones are
 * always mapped (tl_peers_start), and smaller ones are held in full from the start.
 */
#define TL_INFLOW_HEAP_BYTES_MAX (256u << 10)

enum tl_inflow_part {
	TL_INFLOW_GREETING,
	TL_INFLOW_HEAD,
	TL_INFLOW_BODY,
};

struct tl_inflow {
	/* written by whoever reads the connection, one at a time */
	bool is_ipc; /* a byte before each length */
	enum tl_inflow_part part;
	uint64_t left_bytes; /* of the part */
	uint32_t head_bytes;
	uint8_t head[TL_INFLOW_HEAD_BYTES_MAX];
	bool is_held; /* the body at hand, in full */

	/* the same, and read by others */
	_Atomic bool is_greeted;
	_Atomic int64_t begun_ms;   /* the frame at hand, 0: none */
	_Atomic int64_t whole_ms;   /* the end of the last frame, 0: none yet */
	_Atomic int64_t held_bytes; /* memory of the frame at hand */
};

void tl_inflow_init(struct tl_inflow *inflow, bool is_ipc);

enum tl_inflow_fault {
	TL_INFLOW_FINE,
	TL_INFLOW_NO_REQ,   /* the greeting is not that of a REQ socket */
	TL_INFLOW_TOO_LONG, /* a frame past the bound of the transport */
};

/* After a fault nng closes the connection; what still comes is of no interest. */
enum tl_inflow_fault tl_inflow_take(
	struct tl_inflow *inflow, const uint8_t *data, size_t bytes, int64_t at_ms);

#endif
