/*
 * The connections that the servers of this process have accepted: how many there may be, in all and
 * from one address, and how long one may take over a frame, stay silent or leave its replies
 * unread. nng has none of these bounds, and its timers follow the wall clock; here time is
 * monotonic and every close is counted by its reason.
 *
 * A program that links rep_server has this too: accept, readv and shutdown of libnng pass through
 * it (see peers.c). Without tl_peers_start nothing is bounded.
 */
#ifndef TL_NET_PEERS_H
#define TL_NET_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "schema/base/err.h"

/*
 * What tallyd's defaults rest on: a gateway has 4 connections; a frame of 1 MiB in 30 s is 35 KB/s,
 * slower than any link a gateway sits on; who comes back after 15 idle minutes dials again and
 * loses nothing.
 */
struct tl_peers_limits {
	int64_t count_max;
	int64_t per_address_max; /* of tcp; ipc is one user's, and only in count_max */
	int64_t frame_ms;	 /* for the greeting, for a frame once begun, for reading replies */
	int64_t idle_ms;	 /* between frames */
	int64_t partial_bytes_max; /* received of frames that are not whole yet, all together */
	int64_t unread_bytes_max;  /* replies not yet with the kernel, all together */
};

enum tl_peer_end {
	TL_PEER_COUNT_FULL,   /* refused: count_max connections that all work */
	TL_PEER_ADDRESS_FULL, /* refused: per_address_max of them */
	TL_PEER_MADE_ROOM,    /* closed for a newer one: nothing whole had come for longest */
	TL_PEER_NO_GREETING,
	TL_PEER_WRONG_GREETING, /* nng closes it: not a REQ socket */
	TL_PEER_TOO_LONG,	/* nng closes it: a frame past the bound of the transport */
	TL_PEER_HALF_SENT,
	TL_PEER_PARTIAL_FULL, /* its part of partial_bytes_max was the oldest */
	TL_PEER_IDLE,
	TL_PEER_UNREAD, /* it does not read its replies */
	TL_PEER_END_COUNT
};

const char *tl_peer_end_name(enum tl_peer_end end);

/*
 * Before the first server; once a process. Raises the soft limit of open files to the hard one, and
 * lowers count_max to what fits in it (*count_max_out).
 */
TL_MUST enum tl_err tl_peers_start(
	const struct tl_peers_limits *limits, int64_t *count_max_out, struct tl_why *why);

/*
 * Other limits, while servers run. Connections over a lower count stay until newer ones need their
 * room. Returns the count that fits. Any thread.
 */
int64_t tl_peers_limit(const struct tl_peers_limits *limits);

/* After the last server. */
void tl_peers_stop(void);

struct tl_peers_stats {
	uint64_t open;
	uint64_t partial_bytes, unread_bytes;
	uint64_t ended[TL_PEER_END_COUNT];
};

void tl_peers_stats(struct tl_peers_stats *stats_out);

/*
 * For rep_server. A pipe is known by the address it comes from, or over ipc by its process. When
 * it may not be owed so much more, the reply is to be dropped: the connection is being closed.
 */
void tl_peers_pipe_opened(uint32_t pipe, const struct sockaddr_storage *from, int64_t pid);
bool tl_peers_owe(uint32_t pipe, size_t bytes);

#endif
