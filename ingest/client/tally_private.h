/*
 * What the threads of libtally share.
 *
 * Batches stand in one list in the order of closing. What has been done to them falls off from the
 * front to the back, so three places in the list say it all:
 *
 *	oldest ... | to_send ...  | to_load ...          | to_pack ... newest | filling
 *	being sent | encoded, in  | encoded, in the      | closed, not        | open
 *	or settled | memory       | spool only           | encoded            |
 *
 * The caller's thread fills and closes. The keeper thread alone owns the spool: it encodes and
 * spools, reads back what did not fit in memory, and does what an answer asks for. Each sender
 * thread has a connection of its own and one batch, which it sends until there is an answer.
 *
 * Without a spool nothing is unloaded. A batch that the spool would not take (a full disk) stays in
 * memory and is sent all the same: an acknowledgement makes it durable sooner than any retry.
 */
#ifndef CLIENT_TALLY_PRIVATE_H
#define CLIENT_TALLY_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ingest/client/push_batch.h"
#include "ingest/client/spool.h"
#include "ingest/client/tally.h"
#include "schema/base/bytes.h"
#include "schema/net/req_client.h"

/* Longer than anybody waits, and far from where milliseconds overflow. */
#define PUSH_WAIT_MS_MAX (30 * 86400000LL)

struct push_sender {
	struct tally *tally;
	pthread_t thread;
	bool is_started;
	struct tl_req_client *client; /* NULL: the next try makes a new connection */
};

struct tally {
	/* fixed after open */
	struct tally_options options; /* defaults filled in */
	char *url;
	char *token;
	char name[17]; /* of this run, the first part of every batch's name */
	struct push_sender *senders;
	pthread_t keeper;
	bool keeper_is_started;

	/* keeper thread only, once it runs */
	struct spool *spool;		   /* NULL: none */
	struct kept *kept;		   /* with the spool */
	bool resends;			   /* all that is kept, as the server has lost something;
					    * set under mtx */
	uint64_t resend_next, resend_last; /* numbers in kept: not yet queued */
	uint32_t resend_count;		   /* queued and not settled */
	struct tl_buf frame;
	bool loads_next; /* the last was packed */

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t keeper_wake;
	pthread_cond_t sender_wake;	/* something to send */
	pthread_cond_t senders_stopped; /* whoever waits out a backoff */
	pthread_cond_t settled;
	struct push_batch *oldest, *newest;
	struct push_batch *to_send, *to_load, *to_pack;
	struct push_batch *filling; /* NULL: no event since the last was closed */
	int64_t filling_since_ms;
	uint64_t serial_next;
	struct push_batch *settled_first, *settled_last; /* answered, for the keeper */
	size_t held_bytes;
	size_t loaded_bytes;
	bool senders_stop;
	int64_t calls_until_ms; /* no call may last longer: the end of tally_close's time */
	bool keeper_stops;
	uint64_t unspooled_count; /* batches that the spool would not take */
	struct kept_mark acked;	  /* how far the server is */
	struct tally_stats stats;
	char trouble[240]; /* what kept batches from being acknowledged, last */
};

/* Monotonic. */
int64_t push_now_ms(void);

/* Wait with the mutex held; false when until_ms has passed. */
bool push_wait(pthread_cond_t *cond, pthread_mutex_t *mtx, int64_t until_ms);

void push_trouble(struct tally *tally, const struct tl_why *why);

/* With mtx held: the batch that is being filled, if there is one, joins the list. */
void push_close_filling(struct tally *tally);

/* The threads; the argument is a struct push_sender and a struct tally. */
void *push_sender_run(void *arg);
void *push_keeper_run(void *arg);

#endif
