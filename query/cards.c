/* Cards: repositories, pull requests and models with usage in the window (SPEC 3.7 .. 3.10). */
#include "query/cards.h"

#include "query/order.h"

struct cards_kind {
	enum tl_dim dim;
	const char *list_key;
	enum tl_err (*name)(struct query_job *job, struct listing_row *row, struct tl_why *why);
	void (*put)(struct query_job *job, struct tl_pack_open *map, const struct listing_row *row,
		const struct board *board);
};

static const struct tl_totals no_totals;

/* The rows that may be on a page that ends at wanted, and how many there are in all. */
static enum tl_err
collect(struct query_job *job, const struct board *board, uint32_t by, uint64_t wanted,
	struct listing_row **rows_out, uint32_t *count_out, uint32_t *list_count_out)
{
	struct listing_row *rows;
	struct order_rows found;
	enum tl_err err = order_first(board, by, wanted, job->arena, &found);

	if (err)
		return err;
	rows = tl_arena_array(job->arena, found.count, sizeof(*rows));
	if (rows == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < found.count; i++) {
		rows[i] = (struct listing_row){.key = found.rows[i]->key, .what = found.rows[i]};
		order_values(found.rows[i], by, rows[i].order);
	}
	*rows_out = rows;
	*count_out = found.count;
	*list_count_out = found.list_count;
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

static bool
is_filtered(const struct query_job *job, enum tl_dim dim)
{
	return dim != TL_DIM_MODEL && (job->query->repo.bytes > 0 || job->query->pr != 0);
}

/* Keep the cards of the repository and the number asked for. */
static enum tl_err
filter(struct query_job *job, enum tl_dim dim, struct listing_row *rows, uint32_t *count,
	struct tl_why *why)
{
	const struct tl_query *query = job->query;
	uint32_t kept = 0;
	uint32_t repo = 0;
	enum tl_err err = TL_OK;

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

static const struct cards_kind kinds[] = {
	[CARDS_REPOS] = {TL_DIM_REPO, "repos", name_repo, put_repo},
	[CARDS_PULLS] = {TL_DIM_PR, "pulls", name_pull, put_pull},
	[CARDS_MODELS] = {TL_DIM_MODEL, "models", name_model, put_model},
};

enum tl_dim
cards_dim(enum cards_which which)
{
	return kinds[which].dim;
}

enum tl_err
cards_read(struct query_job *job, enum cards_which which, const struct board *board, uint32_t first,
	uint32_t limit, struct cards *cards, struct tl_why *why)
{
	const struct cards_kind *kind = &kinds[which];
	bool has_filter = is_filtered(job, kind->dim);
	uint64_t wanted = has_filter ? UINT64_MAX : (uint64_t)first + limit;
	uint32_t count = 0, list_count = 0;
	enum tl_err err;

	*cards = (struct cards){.kind = kind, .board = board};
	err = collect(job, board, job->query->metric, wanted, &cards->rows, &count, &list_count);
	if (!err && has_filter) {
		err = filter(job, kind->dim, cards->rows, &count, why);
		list_count = count;
	}
	if (err)
		return err;
	cards->page = reply_page_cut(first, limit, list_count);
	return listing_sort(job, cards->rows, count, &cards->page, kind->name, why);
}

void
cards_put(struct query_job *job, struct tl_pack_open *map, const struct cards *cards)
{
	const struct reply_page *page = &cards->page;
	struct tl_pack_open card;

	tl_pack_key(job->reply, map, cards->kind->list_key);
	tl_pack_array(job->reply, page->end - page->first);
	for (uint32_t i = page->first; i < page->end; i++) {
		const struct board_row *usage = cards->rows[i].what;

		card = tl_pack_open_map(job->reply);
		cards->kind->put(job, &card, &cards->rows[i], cards->board);
		reply_time(job, &card, "last_activity_ms", usage->last_ms);
		reply_spark(job, &card, "spark", usage);
		tl_pack_close(job->reply, &card);
	}
}

static enum tl_err
run(struct query_job *job, enum cards_which which, struct tl_why *why)
{
	const struct board *board;
	struct tl_pack_open map;
	struct cards cards;
	enum tl_err err = job_board(job, cards_dim(which), &board, why);

	if (!err)
		err = cards_read(job, which, board, job->offset, job->limit, &cards, why);
	if (err)
		return err;
	map = reply_open(job);
	reply_head(job, &map, &cards.page);
	cards_put(job, &map, &cards);
	return reply_close(job, &map, why);
}

enum tl_err
repos_run(struct query_job *job, struct tl_why *why)
{
	return run(job, CARDS_REPOS, why);
}

enum tl_err
pulls_run(struct query_job *job, struct tl_why *why)
{
	return run(job, CARDS_PULLS, why);
}

enum tl_err
models_run(struct query_job *job, struct tl_why *why)
{
	return run(job, CARDS_MODELS, why);
}

enum tl_err
top_repos_read(struct query_job *job, const struct board *board, uint32_t first, uint32_t limit,
	struct top_repos *top, struct tl_why *why)
{
	uint32_t count = 0, list_count = 0;
	enum tl_err err = collect(job, board, ORDER_BY_SESSIONS, (uint64_t)first + limit,
		&top->rows, &count, &list_count);

	if (err)
		return err;
	top->state = "ok";
	if (!job->scene->org->github_connected)
		top->state = "not_connected";
	else if (list_count == 0)
		top->state = "no_activity";
	top->page = reply_page_cut(first, limit, list_count);
	return listing_sort(job, top->rows, count, &top->page, name_repo, why);
}

void
top_repos_put(struct query_job *job, struct tl_pack_open *map, const struct top_repos *top)
{
	const struct reply_page *page = &top->page;

	tl_pack_key_str(job->reply, map, "state", top->state);
	tl_pack_key(job->reply, map, "repos");
	tl_pack_array(job->reply, page->end - page->first);
	for (uint32_t i = page->first; i < page->end; i++) {
		const struct listing_row *row = &top->rows[i];
		struct tl_pack_open repo = tl_pack_open_map(job->reply);
		char url[TL_REF_URL_BYTES];

		tl_repo_url(row->name, url);
		tl_pack_key_slice(job->reply, &repo, "repo", row->name);
		tl_pack_key_str(job->reply, &repo, "url", url);
		tl_pack_key_int(job->reply, &repo, "sessions", row->order[0]);
		tl_pack_close(job->reply, &repo);
	}
}

enum tl_err
top_repos_run(struct query_job *job, struct tl_why *why)
{
	const struct board *board;
	struct top_repos top;
	struct tl_pack_open map;
	enum tl_err err = job_board(job, TL_DIM_REPO, &board, why);

	if (!err)
		err = top_repos_read(job, board, job->offset, job->limit, &top, why);
	if (err)
		return err;
	map = reply_open(job);
	reply_head(job, &map, &top.page);
	top_repos_put(job, &map, &top);
	return reply_close(job, &map, why);
}
