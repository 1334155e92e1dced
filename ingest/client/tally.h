/*
 * libtally: what a gateway links to report the usage of coding agents to tally.
 *
 * Events are copied into batches and pushed in the background; a batch is kept until the server
 * has acknowledged it, and re-sent until then. With a spool directory batches survive the end of
 * the process, kill -9 included, from the moment they are closed: at risk is what was pushed in the
 * last batch_ms, and tally_flush leaves nothing at risk. Nothing is counted twice: the server knows
 * each event by its id.
 *
 *	struct tally *tally;
 *	struct tally_options options = {
 *		.url = "tcp://127.0.0.1:7411", .token = getenv("TALLY_TOKEN"), .spool_dir =
 *"spool"};
 *
 *	if (tally_open(&options, &tally) != TALLY_OK)
 *		...
 *	tally_push(tally, &(struct tally_event){.id = "msg_01ABC", .ts_ms = now_ms, ...});
 *	tally_close(tally, 5000);
 *
 * Any thread may call; one struct tally is enough for a process. This header stands alone.
 */
#ifndef TALLY_H
#define TALLY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tally_result {
	TALLY_OK = 0,
	TALLY_INVALID, /* an option or a field is wrong: tally_error says which */
	TALLY_FULL,    /* the backlog is at its bound: the event was not taken */
	TALLY_IO,      /* the spool directory cannot be read or written */
	TALLY_TIMEOUT, /* not everything was acknowledged in time (it stays in the spool) */
	TALLY_NOMEM,
};

/* Numbers that are absent: for cost_nusd and duration_ms, whose zero means zero. */
#define TALLY_UNKNOWN INT64_MIN

/* Zero, then set what is known; strings end in NUL and are copied. */
struct tally_event {
	const char *id;	    /* 8..64 bytes, unique in the org; made by the sender, needed */
	int64_t ts_ms;	    /* when the call ended, Unix milliseconds UTC, needed */
	const char *key;    /* the agent's key id ("tally_ca_ab12cd34"), or */
	const char *email;  /* the member's address, or */
	const char *member; /* the 32-hex member id; none of them: unattributed */
	const char *agent;  /* agent type with email or member: "claude_code", "codex", ... */
	const char *session;
	const char *provider;
	const char *model;    /* needed */
	int64_t input_tokens; /* neither read from nor written to the cache */
	int64_t cache_read_tokens, cache_write_tokens, cache_write_1h_tokens;
	int64_t output_tokens; /* reasoning included */
	int64_t reasoning_tokens;
	int64_t cost_nusd; /* nano-dollars; TALLY_UNKNOWN: counted as unpriced */
	int64_t saved_tokens, saved_nusd;
	int status;	     /* HTTP status of the call; 0 stands for 200 */
	int64_t duration_ms; /* TALLY_UNKNOWN or 0: not stated */
	const char *repo;    /* "github.com/acme/api" or any URL of it */
	int64_t pr;	     /* 0: none */
	const char *branch, *commit;
	int is_plan; /* 1: covered by a subscription, cost is an API equivalent */
	int64_t rev; /* a higher revision of an id replaces the lower */
};

enum tally_link {
	TALLY_SET_REPO = 1, /* value: repository */
	TALLY_ADD_PR,	    /* value: URL, "owner/name#7" or "#7" */
	TALLY_ADD_COMMIT,   /* value: commit id */
	TALLY_SET_NAME,	    /* value: the session's name */
};

struct tally_options {
	const char *url;       /* tcp://host:port or ipc:///path, needed */
	const char *token;     /* a gateway token, needed */
	const char *spool_dir; /* made when missing; NULL: the backlog lives in memory only */
	size_t batch_events;   /* send at this many events; 0: 1,000, the protocol's limit */
	size_t batch_bytes;    /* ... or this many bytes; 0: 256 KiB */
	int64_t batch_ms;      /* ... or this long after the first; 0: 200 */
	size_t backlog_bytes;  /* bound of what is not acknowledged; 0: 256 MiB */
	unsigned in_flight;    /* batches sent and not acknowledged; 0: 4 */
	/*
	 * With a spool directory batches are kept in it for a while after they were acknowledged.
	 * When the server turns out to have lost some (its data was put back from a backup), all
	 * that is kept is sent again; what it still has it knows by the ids.
	 */
	int64_t keep_ms;	/* 0: 24 h; negative: nothing is kept */
	size_t keep_bytes;	/* 0: 256 MiB */
	int64_t ack_timeout_ms; /* then the batch is sent again on a new connection; 0: 10,000 */
	/*
	 * Called on libtally's thread, one call at a time, for each event the server refused for
	 * good (it would be refused again): the code, e.g. "time_too_old", and the field or "".
	 * When it refused a whole batch ("unauthenticated"), for each event of it. With a spool
	 * directory the batch is also kept in spool_dir/refused, the reply beside it. It may push,
	 * but not flush or close. May be NULL.
	 */
	void (*on_refused)(void *arg, const char *code, const char *field);
	void *arg;
};

struct tally;

enum tally_result tally_open(const struct tally_options *options, struct tally **tally_out);

/* Take one event. Copies; returns at once: neither the disk nor the network is waited for. */
enum tally_result tally_push(struct tally *tally, const struct tally_event *event);

/* Say something about a session; id as for events. Early, late and repeated are all fine. */
enum tally_result tally_push_link(struct tally *tally, const char *id, int64_t ts_ms,
	const char *session, enum tally_link link, const char *value);

/*
 * Send what is batched and wait until all that was pushed before is acknowledged or refused for
 * good, at most timeout_ms. TALLY_TIMEOUT; TALLY_IO when some of it is not in the spool either.
 */
enum tally_result tally_flush(struct tally *tally, int64_t timeout_ms);

struct tally_stats {
	uint64_t pushed; /* events taken, links included */
	uint64_t accepted, duplicate, replaced,
		rejected;	  /* as the server said, recovered ones too */
	uint64_t resent;	  /* batches sent more than once */
	uint64_t recovered;	  /* batches found in the spool at open */
	uint64_t pending;	  /* events not acknowledged yet */
	uint64_t seq;		  /* the last acknowledged sequence number */
	uint64_t losses;	  /* how often the server was found to have lost something */
	uint64_t restored;	  /* events it took again from what was kept */
	uint64_t refused_dropped; /* batches removed from refused/, which holds at most 64 MiB */
};

void tally_stats(struct tally *tally, struct tally_stats *stats_out);

/* What went wrong last, for a person. Valid until the next call on the same thread. */
const char *tally_error(void);

/*
 * Flush for up to timeout_ms, then free. What was not acknowledged stays in the spool. A call under
 * way is waited for: when the server is silent, up to ack_timeout_ms after it was sent. No other
 * thread may use tally any more. NULL is fine.
 */
enum tally_result tally_close(struct tally *tally, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
