/* Every bound in one place, each with its reason. Tested at the limit and one beside it. */
#ifndef TL_MODEL_LIMITS_H
#define TL_MODEL_LIMITS_H

#define TL_PROTOCOL_VERSION 1

/* The wire. The transport takes 2 MiB so that frames of 1..2 MiB get a coded reply. */
#define TL_FRAME_BYTES_MAX (1u << 20)
#define TL_TRANSPORT_BYTES_MAX (2u << 20)
#define TL_REPLY_BYTES_MAX (4u << 20)
#define TL_BATCH_EVENTS_MAX 1000u
#define TL_EVENT_BYTES_MAX 8192u
#define TL_WIRE_DEPTH_MAX 4u
#define TL_MAP_KEYS_MAX 64u
#define TL_QUEUE_BYTES_MAX (64u << 20)

/* Text, in bytes of UTF-8. */
#define TL_ID_TEXT_BYTES_MIN 8u
#define TL_ID_TEXT_BYTES_MAX 64u
#define TL_NAME_BYTES_MAX 200u /* people, orgs, session names, rules */
#define TL_EMAIL_BYTES_MAX 254u
#define TL_EMAIL_ENC_BYTES_MAX 2048u
#define TL_MODEL_BYTES_MAX 128u
#define TL_PROVIDER_BYTES_MAX 128u
#define TL_AGENT_TYPE_BYTES_MAX 64u
#define TL_SESSION_BYTES_MAX 64u
#define TL_REPO_BYTES_MAX 140u
#define TL_BRANCH_BYTES_MAX 200u
#define TL_COMMIT_BYTES_MAX 64u
#define TL_TAG_BYTES_MAX 64u
#define TL_TAGS_MAX 16u
#define TL_LINK_VALUE_BYTES_MAX 300u
#define TL_PR_MAX 1000000000 /* ten times what the largest forges have given out */

/* Numbers. 10^10 tokens and 10^15 nano-dollars (a million dollars) a call are typing errors. */
#define TL_TOKENS_MAX 10000000000LL
#define TL_COST_NUSD_MAX 1000000000000000LL
#define TL_DURATION_MS_MAX 86400000LL
#define TL_STATUS_MAX 999
#define TL_COUNT_MAX 1000000000LL /* lines, commits and other activity in one event */
#define TL_REV_MAX TL_COUNT_MAX	  /* a running count may be its own revision */
#define TL_TIME_MS_MAX (1LL << 53)
#define TL_TIME_SECONDS_HINT                                                \
	100000000000LL /* below: seconds sent as milliseconds (before 1973) \
			*/

/* Time. */
#define TL_FUTURE_MS_MAX (5 * 60 * 1000LL)
#define TL_ACCEPT_PAST_DAYS 35
#define TL_RETENTION_DAYS 400
#define TL_RANGE_DAYS_MAX 400
#define TL_BINS_MAX 120u
#define TL_WINDOW_BINS_MAX 128u

/* The way out. */
#define TL_PAGE_ROWS 50u
#define TL_PAGE_ROWS_MAX 1000u

/* A group: one write. Rows fit 16 bits in the id index. */
#define TL_GROUP_EVENTS_MAX 60000u
#define TL_GROUP_BYTES_MAX (4u << 20)

/* Distinct names per org that a stranger can make. */
#define TL_REPOS_MAX 10000u
#define TL_PULLS_MAX 100000u
/* Of one session: each of its cell pages lists them, and each moves when one comes. */
#define TL_SESSION_PULLS_MAX 1000u
#define TL_MEMBERS_BY_USAGE_MAX 50000u /* past it only the operator adds some */
#define TL_AGENTS_BY_USAGE_MAX 200000u /* four kinds a member */

#endif
