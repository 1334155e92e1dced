/* One request in progress: what was asked, what the caller may see, where the answer goes. */
#ifndef QUERY_JOB_H
#define QUERY_JOB_H

#include "query/past.h"
#include "query/query.h"
#include "schema/store/value.h"
#include "schema/wire/pack.h"

/* Boards a reply needs: members in the window and before, last uses, repositories, PRs. */
#define JOB_BOARDS_MAX 5u

struct query_job {
	const struct query_scene *scene;
	const struct tl_query *query;
	struct tl_arena *arena;
	struct tl_buf *reply;
	struct tl_window window;
	uint32_t only_member; /* 0: the caller sees everybody; else only this member */
	bool sees_private;    /* everybody's email and hourly rate */
	uint32_t offset;      /* of the first row of the page that was asked for */
	uint32_t limit;	      /* of its rows */
	struct past_board boards[JOB_BOARDS_MAX]; /* until the reply is done */
	uint32_t board_count;
	struct lru_value *agents; /* pinned, NULL: none; see agents.h */
};

/* No member has this number: a caller that is nobody sees nobody. */
#define JOB_NOBODY UINT32_MAX

/* The operations (SPEC 4). Each appends the whole reply map. */
TL_MUST enum tl_err dashboard_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err leaderboard_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err series_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err top_repos_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err repos_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err pulls_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err models_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err session_list_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err session_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err team_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err reconcile_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err health_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err keys_resolve_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err export_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err live_run(struct query_job *job, struct tl_why *why);
TL_MUST enum tl_err explain_run(struct query_job *job, struct tl_why *why);

/* The board of the job's window, as far as the caller may see. Boards live as long as the job. */
TL_MUST enum tl_err job_board(
	struct query_job *job, enum tl_dim dim, const struct board **board_out, struct tl_why *why);

/* The board of everybody, which ranks and the org's total need whoever asks. */
TL_MUST enum tl_err job_whole_board(struct query_job *job, enum tl_dim dim,
	const struct past_board **board_out, struct tl_why *why);

/* The totals of the window before. */
TL_MUST enum tl_err job_board_before(
	struct query_job *job, enum tl_dim dim, struct board **board_out, struct tl_why *why);

/* A board that ends now, for the last uses that come with it. With a cache only. */
TL_MUST enum tl_err job_uses(
	struct query_job *job, const struct past_board **board_out, struct tl_why *why);

/* Let go of what the job holds. */
void job_fini(struct query_job *job);

/* What the job's caller may read of a part of a window. */
struct facts_ask job_facts(const struct query_job *job, const struct tl_window *window);

/* A name of the org's dictionary, in the arena. Id 0 is empty. */
TL_MUST enum tl_err job_name(const struct query_job *job, enum tl_name_kind kind, uint32_t id,
	struct tl_slice *name_out, struct tl_why *why);

/* The id of a name; TL_ENOT_FOUND says what was looked for. */
TL_MUST enum tl_err job_find(const struct query_job *job, enum tl_name_kind kind,
	struct tl_slice name, uint32_t *id_out, struct tl_why *why);

/* A repository by any spelling of its name. */
TL_MUST enum tl_err job_find_repo(
	const struct query_job *job, struct tl_slice text, uint32_t *id_out, struct tl_why *why);

/* The member with this id that the caller may see; all others are TL_ENOT_FOUND. */
TL_MUST enum tl_err job_find_member(const struct query_job *job, struct tl_slice hex,
	const struct tl_member **member_out, struct tl_why *why);

/* An agent by its key's id or its number, that the caller may see; else TL_ENOT_FOUND. */
TL_MUST enum tl_err job_find_agent(const struct query_job *job, struct tl_slice text,
	const struct tl_agent **agent_out, struct tl_why *why);

/* The whole life of a member or an agent; zeros when nothing was ever counted. */
TL_MUST enum tl_err job_life(const struct query_job *job, enum tl_dim dim, uint32_t entity,
	struct tl_life *life_out, struct tl_why *why);

#endif
