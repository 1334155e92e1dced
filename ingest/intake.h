/*
 * Intake workers: a request off a socket becomes a job for the writer, an order for the daemon, or
 * a reply at once. A job owns everything its work needs and goes back to the pool with its reply.
 */
#ifndef INGEST_INTAKE_H
#define INGEST_INTAKE_H

#include <pthread.h>

#include "ingest/commit.h"
#include "schema/base/map.h"

struct intake_job {
	struct commit_job commit; /* what the writer sees; its reply is what is sent */
	struct admitted admitted;
	struct tl_rep_request *request;
	struct tl_arena arena;
	struct tl_buf inflated;
	size_t frame_bytes;
	struct intake_job *next; /* in the pool */
};

struct intake {
	/* fixed after init */
	struct tl_roster *roster;
	const struct tl_clock *clock;
	struct tl_clock_watch *watch; /* NULL: the clock is always right */
	struct ingest_settings settings;
	struct ingest_stats *stats;
	struct tl_queue *jobs;	 /* to the writer */
	struct tl_queue *orders; /* to the order thread */
	struct tl_buf overloaded;
	struct tl_buf shutting_down;
	pthread_mutex_t mtx;
	/* guarded by mtx */
	struct intake_job *pool;
	size_t pool_count;
};

struct intake_worker {
	struct intake *intake;
	struct tl_queue *requests;
	bool is_operator;	/* what comes by requests is the operator's */
	struct tl_map *members; /* its memory of emails */
	pthread_t thread;
	char name[16];
};

/* intake is zeroed; roster, clock, watch, settings and stats are set by the caller. */
TL_MUST enum tl_err intake_init(struct intake *intake);

/* Queues must be empty and all jobs back. */
void intake_fini(struct intake *intake);

/* The body of a worker thread: until requests is closed and empty. arg is the worker. */
void *intake_run(void *arg);

/*
 * The wall clock: TL_ECLOCK_UNTRUSTED while it must not decide what is too old or stamp anything,
 * and then *now_ms_out only tells the time. Any thread.
 */
TL_MUST enum tl_err intake_now(struct intake *intake, int64_t *now_ms_out);

/* Send the job's reply and give the job back. Any thread. */
void intake_finish(struct intake *intake, struct intake_job *job);

/* Send a refusal and give the job back. */
void intake_refuse(
	struct intake *intake, struct intake_job *job, enum tl_err err, const struct tl_why *why);

#endif
