/* One row of bars: what the chart shows, for the org or for one thing in it. */
#include "query/reply.h"
#include "query/scope.h"
#include "query/session.h"

static enum tl_err
read_session(struct query_job *job, struct tl_slice name, const struct board_row **row_out,
	struct tl_why *why)
{
	struct board *board = tl_arena_alloc(job->arena, sizeof(*board));
	struct tl_session_row session;
	uint32_t no = 0;
	enum tl_err err;

	if (board == NULL)
		return TL_ENOMEM;
	err = session_find(job, name, &no, &session, why);
	if (!err)
		err = session_board(job, &job->window, no, &session, TL_DIM_ORG, board, why);
	if (!err)
		*row_out = board_find(board, BOARD_KEY_ORG);
	return err;
}

static enum tl_err
read_scope(struct query_job *job, const struct board_row **row_out, struct tl_why *why)
{
	const struct board *board;
	struct scope scope;
	enum tl_err err = scope_find(job, &scope, why);

	if (err)
		return err;
	if (scope.dim == TL_DIM_SESSION)
		return read_session(job, scope.name, row_out, why);
	if (scope.dim == TL_DIM_ORG)
		job->only_member = 0; /* the org's total is everybody's to see */
	err = job_board(job, scope.dim, &board, why);
	if (!err)
		*row_out = board_find(board, scope.key);
	return err;
}

enum tl_err
series_run(struct query_job *job, struct tl_why *why)
{
	const struct board_row *row = NULL;
	struct tl_slice scope = job->query->scope;
	struct tl_pack_open map;
	enum tl_err err;

	err = read_scope(job, &row, why);
	if (err)
		return err;
	map = reply_open(job);
	reply_head(job, &map, NULL);
	tl_pack_key_slice(job->reply, &map, "scope", scope.bytes > 0 ? scope : tl_slice_str("org"));
	tl_pack_key_int(job->reply, &map, "total",
		row != NULL ? tl_totals_value(&row->totals, job->query->metric) : 0);
	reply_spark(job, &map, "bars", row);
	return reply_close(job, &map, why);
}
