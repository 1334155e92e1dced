/* Cards: repositories, pull requests and models with usage in the window (SPEC 3.7 .. 3.10). */
#include "query/listing.h"

/* One kind of card. */
struct kind {
	enum tl_dim dim;
	const char *list_key;
	enum tl_err (*name)(struct query_job *job, struct listing_row *row, struct tl_why *why);
	void (*put)(struct query_job *job, struct tl_pack_open *map, const struct listing_row *row,
		const struct board *board);
};

static const struct tl_totals no_totals;

/* Rows of a board that become cards: with a request in the window, and not shares of a PR. */
static enum tl_err
collect(struct query_job *job, const struct board *board, enum tl_dim dim,
	struct listing_row **rows_out, uint32_t *count_out)
{
	struct listing_row *rows = tl_arena_array(job->arena, board->row_count, sizeof(*rows));
	uint32_t count = 0;

	if (rows == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < board->row_count; i++) {
		const struct board_row *row = board_row(board, i);

		if (row->totals.requests == 0)
			continue;
		if (dim == TL_DIM_PR && (row->key & BOARD_KEY_SPLIT) != 0)
			continue;
		rows[count++] = (struct listing_row){
			.order = {tl_totals_value(&row->totals, job->query->metric),
				row->totals.requests},
			.key = row->key,
			.what = row,
		};
	}
	*rows_out = rows;
	*count_out = count;
	return TL_OK;
}

static enum tl_err
name_model(struct query_job *job, struct listing_row *row, struct tl_why *why)
{
	return job_name(job, TL_NAME_MODEL, (uint32_t)row->key, &row->name, why);
}

static enum tl_err
name_repo(struct query_job *job, struct listing_row *row, struct tl_why *why)
{
	return job_name(job, TL_NAME_REPO, (uint32_t)row->key, &row->name, why);
}

static enum tl_err
name_pull(struct query_job *job, struct listing_row *row, struct tl_why *why)
{
	row->number = (uint32_t)row->key;
	return job_name(job, TL_NAME_REPO, (uint32_t)(row->key >> 32), &row->name, why);
}

static void
put_model(struct query_job *job, struct tl_pack_open *map, const struct listing_row *row,
	const struct board *board)
{
	const struct board_row *usage = row->what;

	(void)board;
	tl_pack_key_slice(job->reply, map, "model", row->name);
	tl_pack_key_int(job->reply, map, "value", row->order[0]);
	reply_totals(job, map, &usage->totals, usage->session_count);
}

static void
put_repo(struct query_job *job, struct tl_pack_open *map, const struct listing_row *row,
	const struct board *board)
{
	const struct board_row *usage = row->what;
	char url[TL_REF_URL_BYTES];

	(void)board;
	tl_repo_url(row->name, url);
	tl_pack_key_slice(job->reply, map, "repo", row->name);
	tl_pack_key_str(job->reply, map, "url", url);
	tl_pack_key_int(job->reply, map, "value", row->order[0]);
	reply_totals(job, map, &usage->totals, usage->session_count);
}

static void
put_nested(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct tl_totals *totals, uint32_t session_count)
{
	struct tl_pack_open nested;

	tl_pack_key(job->reply, map, key);
	nested = tl_pack_open_map(job->reply);
	reply_totals(job, &nested, totals, session_count);
	tl_pack_close(job->reply, &nested);
}

static void
put_pull(struct query_job *job, struct tl_pack_open *map, const struct listing_row *row,
	const struct board *board)
{
	const struct board_row *usage = row->what;
	const struct board_row *split = board_find(board, row->key | BOARD_KEY_SPLIT);
	char url[TL_REF_URL_BYTES];

	tl_pr_url(row->name, row->number, url);
	tl_pack_key_slice(job->reply, map, "repo", row->name);
	tl_pack_key_int(job->reply, map, "number", row->number);
	tl_pack_key_str(job->reply, map, "url", url);
	tl_pack_key_int(job->reply, map, "value", row->order[0]);
	put_nested(job, map, "touched", &usage->totals, usage->session_count);
	put_nested(job, map, "split", split != NULL ? &split->totals : &no_totals,
		usage->session_count);
	tl_pack_key_int(job->reply, map, "sessions", usage->session_count);
}

static void
put_cards(struct query_job *job, const struct kind *kind, struct tl_pack_open *map,
	const struct board *board, const struct listing_row *rows, const struct reply_page *page)
{
	struct tl_pack_open card;

	tl_pack_key(job->reply, map, kind->list_key);
	tl_pack_array(job->reply, page->end - page->first);
	for (uint32_t i = page->first; i < page->end; i++) {
		const struct board_row *usage = rows[i].what;

		card = tl_pack_open_map(job->reply);
		kind->put(job, &card, &rows[i], board);
		reply_time(job, &card, "last_activity_ms", usage->last_ms);
		reply_spark(job, &card, "spark", usage);
		tl_pack_close(job->reply, &card);
	}
}

/* Keep the cards of the repository and the number asked for, if any. */
static enum tl_err
filter(struct query_job *job, enum tl_dim dim, struct listing_row *rows, uint32_t *count,
	struct tl_why *why)
{
	const struct tl_query *query = job->query;
	uint32_t kept = 0;
	uint32_t repo = 0;
	enum tl_err err = TL_OK;

	if (dim == TL_DIM_MODEL || (query->repo.bytes == 0 && query->pr == 0))
		return TL_OK;
	if (query->repo.bytes > 0)
		err = job_find_repo(job, query->repo, &repo, why);
	if (err == TL_ENOT_FOUND) {
		*count = 0; /* a filter that nothing passes */
		return TL_OK;
	}
	if (err)
		return err;
	for (uint32_t i = 0; i < *count; i++) {
		uint64_t key = rows[i].key;
		uint32_t card_repo = (uint32_t)(dim == TL_DIM_PR ? key >> 32 : key);

		if (repo != 0 && card_repo != repo)
			continue;
		if (query->pr != 0 && dim == TL_DIM_PR && (uint32_t)key != query->pr)
			continue;
		rows[kept++] = rows[i];
	}
	*count = kept;
	return TL_OK;
}

static enum tl_err
run(struct query_job *job, const struct kind *kind, struct tl_why *why)
{
	struct listing_row *rows = NULL;
	struct reply_page page;
	struct tl_pack_open map;
	const struct board *board;
	uint32_t count = 0;
	enum tl_err err;

	err = job_board(job, kind->dim, &board, why);
	if (!err)
		err = collect(job, board, kind->dim, &rows, &count);
	if (!err)
		err = filter(job, kind->dim, rows, &count, why);
	if (err)
		return err;
	page = reply_page_of(job, count);
	err = listing_sort(job, rows, count, &page, kind->name, why);
	if (err)
		return err;
	map = reply_open(job);
	reply_head(job, &map, &page);
	put_cards(job, kind, &map, board, rows, &page);
	return reply_close(job, &map, why);
}

enum tl_err
repos_run(struct query_job *job, struct tl_why *why)
{
	static const struct kind kind = {TL_DIM_REPO, "repos", name_repo, put_repo};

	return run(job, &kind, why);
}

enum tl_err
pulls_run(struct query_job *job, struct tl_why *why)
{
	static const struct kind kind = {TL_DIM_PR, "pulls", name_pull, put_pull};

	return run(job, &kind, why);
}

enum tl_err
models_run(struct query_job *job, struct tl_why *why)
{
	static const struct kind kind = {TL_DIM_MODEL, "models", name_model, put_model};

	return run(job, &kind, why);
}

enum tl_err
top_repos_run(struct query_job *job, struct tl_why *why)
{
	const char *state = "ok";
	struct listing_row *rows = NULL;
	struct reply_page page;
	struct tl_pack_open map;
	const struct board *board;
	uint32_t count = 0;
	enum tl_err err;

	err = job_board(job, TL_DIM_REPO, &board, why);
	if (!err)
		err = collect(job, board, TL_DIM_REPO, &rows, &count);
	if (err)
		return err;
	for (uint32_t i = 0; i < count; i++) {
		const struct board_row *usage = rows[i].what;

		rows[i].order[0] = usage->session_count;
		rows[i].order[1] = tl_totals_tokens(&usage->totals);
	}
	page = reply_page_of(job, count);
	err = listing_sort(job, rows, count, &page, name_repo, why);
	if (err)
		return err;
	if (!job->scene->org->github_connected)
		state = "not_connected";
	else if (count == 0)
		state = "no_activity";
	map = reply_open(job);
	reply_head(job, &map, &page);
	tl_pack_key_str(job->reply, &map, "state", state);
	tl_pack_key(job->reply, &map, "repos");
	tl_pack_array(job->reply, page.end - page.first);
	for (uint32_t i = page.first; i < page.end; i++) {
		char url[TL_REF_URL_BYTES];

		tl_repo_url(rows[i].name, url);
		tl_pack_map(job->reply, 3);
		tl_pack_str(job->reply, "repo");
		tl_pack_slice(job->reply, rows[i].name);
		tl_pack_str(job->reply, "url");
		tl_pack_str(job->reply, url);
		tl_pack_str(job->reply, "sessions");
		tl_pack_int(job->reply, rows[i].order[0]);
	}
	return reply_close(job, &map, why);
}
