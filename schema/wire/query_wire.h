/* Requests of the way out (SPEC 4) on the wire: {v:1, token, op, ...params} <-> struct tl_query. */
#ifndef TL_WIRE_QUERY_WIRE_H
#define TL_WIRE_QUERY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/totals.h"
#include "schema/model/window.h"

/* X(symbol, name) */
#define TL_QUERY_LIST(X)                         \
	X(TL_QUERY_LEADERBOARD, "leaderboard")   \
	X(TL_QUERY_SERIES, "series")             \
	X(TL_QUERY_TOP_REPOS, "top_repos")       \
	X(TL_QUERY_REPOS, "repos")               \
	X(TL_QUERY_PULLS, "pulls")               \
	X(TL_QUERY_MODELS, "models")             \
	X(TL_QUERY_SESSIONS, "sessions")         \
	X(TL_QUERY_SESSION, "session")           \
	X(TL_QUERY_TEAM, "team")                 \
	X(TL_QUERY_DASHBOARD, "dashboard")       \
	X(TL_QUERY_RECONCILE, "reconcile")       \
	X(TL_QUERY_EXPORT, "export")             \
	X(TL_QUERY_LIVE, "live")                 \
	X(TL_QUERY_HEALTH, "health")             \
	X(TL_QUERY_KEYS_RESOLVE, "keys_resolve") \
	X(TL_QUERY_EXPLAIN, "explain")

enum tl_query_op {
#define X(symbol, name) symbol,
	TL_QUERY_LIST(X)
#undef X
		TL_QUERY_COUNT
};

const char *tl_query_name(enum tl_query_op op);

/* Slices point into the request; an empty one was not given. */
struct tl_query {
	enum tl_query_op op;
	struct tl_slice token;
	struct tl_slice org;	/* an operator's choice */
	enum tl_range range;	/* default 7d */
	bool has_range;		/* a range (or from / to) was given */
	int64_t from_ms, to_ms; /* custom: both given */
	struct tl_slice tz;	/* default: the org's */
	enum tl_metric metric;	/* tokens=uncached chooses TL_METRIC_TOKENS_UNCACHED */
	bool tokens_uncached;	/* the rule asked for, whatever the metric */
	uint32_t limit;		/* 1..TL_PAGE_ROWS_MAX; 0: not given */
	struct tl_slice cursor;
	struct tl_slice scope; /* series: "org", "member:ID", ... */
	bool split;	       /* series of a PR: shares instead of touched */
	struct tl_slice session, member, repo, agent, key, text; /* filters; text is q */
	int64_t pr;						 /* 0: none */
	bool by_bins;	      /* level of an export: totals per bin, not requests */
	bool has_have;	      /* the reply is wanted with its mark, or not at all: */
	struct tl_slice have; /* the mark of the reply the asker has; empty: of none */
	int64_t have_age_ms;  /* how old that may be, default TL_QUERY_HAVE_AGE_MS */
};

#define TL_QUERY_HAVE_AGE_MS 1000
#define TL_QUERY_HAVE_AGE_MS_MAX 60000

/* Whether a parameter is about what the asker has, and not about what is asked. */
bool tl_query_is_about_having(struct tl_slice name);

/* map was checked. Unknown parameters and wrong values are TL_EBAD_PARAM naming the parameter. */
TL_MUST enum tl_err tl_query_read(
	struct tl_slice checked_map, struct tl_query *query_out, struct tl_why *why);

/* A list goes on at an offset: "o" and digits, a position whatever the view. None is 0. */
#define TL_PAGE_CURSOR_BYTES 16
void tl_page_cursor_format(uint32_t offset, char cursor_out[TL_PAGE_CURSOR_BYTES]);
TL_MUST enum tl_err tl_page_cursor_read(
	struct tl_slice cursor, uint32_t *offset_out, struct tl_why *why);

#endif
