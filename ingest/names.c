/*
 * A batch names things by symbol. Each distinct (org, symbol) is looked up once a batch and then
 * copied column by column, so the price of names does not grow with the rows.
 *
 * What a stranger can make up is limited. Past the limit of repos an event counts for the repo
 * "other", past that of pull requests the number is dropped; its usage never is. Whether a name is
 * known must not depend on what else is in the group, or the same event sent again would differ
 * from itself; so what was found, made or refused is remembered in commit->names, which is emptied
 * only between groups. Names are for ever, so what was refused once is refused again.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "ingest/writer.h"

static const char repo_other[] = "other";

void
names_begin(struct commit *commit)
{
	/* A row brings a repo and a pull request. */
	static_assert(WRITER_NAMES_MAX / 2 >= TL_GROUP_EVENTS_MAX, "a group's names find room");
	if (tl_map_count(commit->names) > WRITER_NAMES_MAX / 2)
		tl_map_clear(commit->names);
}

/*
 * The id of a name of which an org has count_max and no more: past that a known one keeps its id
 * and every other has none, 0. key is the name as commit->names has it.
 */
static enum tl_err
bounded_id(struct commit *commit, uint32_t org, enum tl_name_kind kind, uint32_t count_max,
	struct tl_slice key, struct tl_slice name, uint32_t *id_out, struct tl_why *why)
{
	uint32_t count;
	uint32_t id = 0;
	enum tl_err err;

	err = tl_dict_count(commit->dict, org, kind, &count, why);
	if (err)
		return err;
	if (count < count_max)
		err = tl_dict_id(commit->dict, org, kind, name, commit->write, &id, why);
	else
		err = tl_dict_known(commit->dict, org, kind, name, &id, why);
	if (err && err != TL_ENOT_FOUND)
		return err;
	*id_out = id;
	return tl_map_put(commit->names, key, id);
}

static enum tl_err
repo_id(struct commit *commit, uint32_t org, struct tl_slice name, struct name_memo *memo,
	struct tl_why *why)
{
	uint8_t bytes[5 + TL_REPO_BYTES_MAX];
	struct tl_slice key = tl_slice_of(bytes, 5 + name.bytes);
	uint64_t known;
	enum tl_err err = TL_OK;

	assert(name.bytes <= TL_REPO_BYTES_MAX);
	tl_put_be32(bytes, org);
	bytes[4] = TL_NAME_REPO;
	memcpy(bytes + 5, name.data, name.bytes);
	if (tl_map_get(commit->names, key, &known))
		memo->id = (uint32_t)known;
	else
		err = bounded_id(
			commit, org, TL_NAME_REPO, TL_REPOS_MAX, key, name, &memo->id, why);
	if (err || memo->id != 0)
		return err;
	memo->is_other = true;
	return tl_dict_id(commit->dict, org, TL_NAME_REPO, tl_slice_str(repo_other), commit->write,
		&memo->id, why);
}

/* Whether the org may have this pull request. repo 0: the session's, so it counts by its number. */
static enum tl_err
find_pull(struct commit *commit, uint32_t org, struct tl_pr pull, bool *is_known_out,
	struct tl_why *why)
{
	uint8_t bytes[13];
	struct tl_slice key = tl_slice_of(bytes, sizeof(bytes));
	char name[32];
	uint64_t known;
	uint32_t id = 0;
	enum tl_err err;

	tl_put_be32(bytes, org);
	bytes[4] = TL_NAME_PULL;
	tl_put_be32(bytes + 5, pull.repo);
	tl_put_be32(bytes + 9, pull.number);
	if (tl_map_get(commit->names, key, &known)) {
		*is_known_out = known != 0;
		return TL_OK;
	}
	snprintf(name, sizeof(name), "%" PRIu32 "#%" PRIu32, pull.repo, pull.number);
	err = bounded_id(
		commit, org, TL_NAME_PULL, TL_PULLS_MAX, key, tl_slice_str(name), &id, why);
	*is_known_out = id != 0;
	return err;
}

static enum tl_err
name_id(struct commit *commit, uint32_t org, const struct tl_symbol *symbol, struct name_memo *memo,
	struct tl_why *why)
{
	enum tl_err err;

	if (symbol->kind == TL_NAME_REPO)
		err = repo_id(commit, org, symbol->text, memo, why);
	else
		err = tl_dict_id(commit->dict, org, symbol->kind, symbol->text, commit->write,
			&memo->id, why);
	return err;
}

enum tl_err
names_memo_make(struct commit *commit, const struct tl_batch *batch, struct names_memo *memo_out)
{
	uint32_t count = 16;

	while (count < batch->symbol_count * 2)
		count *= 2;
	*memo_out = (struct names_memo){.mask = count - 1};
	memo_out->slots = tl_arena_array(&commit->group.arena, count, sizeof(*memo_out->slots));
	if (memo_out->slots == NULL)
		return TL_ENOMEM;
	if (batch->column[TL_COL_PR] == NULL)
		return TL_OK;
	memo_out->pulls = tl_arena_array(&commit->group.arena, count, sizeof(*memo_out->pulls));
	return memo_out->pulls != NULL ? TL_OK : TL_ENOMEM;
}

/* Rows that follow one another in the batch. */
struct row_run {
	uint32_t first;
	uint32_t count;
};

struct translation {
	struct commit *commit;
	const struct tl_batch *from;
	const uint32_t *row_idx;
	uint32_t count;
	struct row_run *runs; /* the same rows; few, as few ids of a batch are known */
	uint32_t run_count;
	struct names_memo *memo;
	struct tl_batch *to;
	uint32_t first; /* of the rows in to */
	bool has_other;
	uint32_t *other_count; /* rows that lost a name to a limit */
	struct tl_why *why;
};

static enum tl_err
find_runs(struct translation *tr)
{
	struct row_run *run = NULL;

	tr->runs = tl_arena_room(&tr->commit->group.arena, tr->count, sizeof(*tr->runs));
	if (tr->runs == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < tr->count; i++) {
		if (run == NULL || tr->row_idx[i] != run->first + run->count) {
			run = &tr->runs[tr->run_count++];
			*run = (struct row_run){.first = tr->row_idx[i]};
		}
		run->count++;
	}
	return TL_OK;
}

static enum tl_err
fill_memo(struct translation *tr, uint32_t org, uint32_t symbol, struct name_memo *memo)
{
	struct name_memo fresh = {.org = org, .symbol = symbol};
	enum tl_err err;

	assert(symbol < tr->from->symbol_count);
	err = name_id(tr->commit, org, &tr->from->symbols[symbol], &fresh, tr->why);
	if (!err)
		*memo = fresh;
	return err;
}

/* What a symbol other than 0 of a row is; valid until the next call. */
static inline enum tl_err
find_name(struct translation *tr, uint32_t symbol, uint32_t row_idx, struct name_memo **memo_out)
{
	uint32_t org = (uint32_t)tr->from->column[TL_COL_ORG][row_idx];
	struct name_memo *memo = &tr->memo->slots[(symbol + org * 0x9e3779b1u) & tr->memo->mask];

	*memo_out = memo;
	if (memo->org == org && memo->symbol == symbol)
		return TL_OK;
	return fill_memo(tr, org, symbol, memo);
}

static enum tl_err
copy_names(struct translation *tr, enum tl_column column)
{
	const int64_t *symbols = tr->from->column[column];
	int64_t *ids = tr->to->column[column] + tr->first;
	struct name_memo *memo;
	enum tl_err err;

	for (uint32_t i = 0; i < tr->count; i++) {
		uint32_t symbol = (uint32_t)symbols[tr->row_idx[i]];

		if (symbol == 0) {
			ids[i] = 0;
			continue;
		}
		err = find_name(tr, symbol, tr->row_idx[i], &memo);
		if (err)
			return err;
		ids[i] = memo->id;
		tr->has_other |= memo->is_other;
	}
	return TL_OK;
}

static void
copy_numbers(struct translation *tr, enum tl_column column)
{
	const int64_t *from = tr->from->column[column];
	int64_t *to = tr->to->column[column] + tr->first;

	for (uint32_t i = 0; i < tr->run_count; i++) {
		memcpy(to, from + tr->runs[i].first, tr->runs[i].count * sizeof(*to));
		to += tr->runs[i].count;
	}
}

static void
copy_ids(struct translation *tr)
{
	uint8_t(*to)[16] = tr->to->id + tr->first;

	for (uint32_t i = 0; i < tr->run_count; i++) {
		memcpy(to, tr->from->id + tr->runs[i].first, tr->runs[i].count * sizeof(*to));
		to += tr->runs[i].count;
	}
}

static void
put_default(struct tl_batch *to, enum tl_column column, uint32_t first, uint32_t count)
{
	int64_t initial = tl_column_default(column);

	for (uint32_t at = first; at < first + count; at++)
		to->column[column][at] = initial;
}

/* Each column either of the two has, in every row of to up to the last of these. */
static enum tl_err
copy_column(struct translation *tr, enum tl_column column)
{
	bool is_new = tr->to->column[column] == NULL;

	if (tr->from->column[column] == NULL) {
		if (!is_new)
			put_default(tr->to, column, tr->first, tr->count);
		return TL_OK;
	}
	if (is_new) {
		enum tl_err err = tl_batch_room(tr->to, column);

		if (err)
			return err;
		put_default(tr->to, column, 0, tr->first);
	}
	if (tl_column_name_kind(column) != 0)
		return copy_names(tr, column);
	copy_numbers(tr, column);
	return TL_OK;
}

static enum tl_err
copy_columns(struct translation *tr)
{
	enum tl_err err = find_runs(tr);

	if (!err)
		copy_ids(tr);
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT && !err; column++)
		err = copy_column(tr, column);
	return err;
}

/* Pull requests of different repos must not meet under "other": such a row keeps its usage only. */
static enum tl_err
clear_others(struct translation *tr, uint32_t *other_count)
{
	int64_t *number = tr->to->column[TL_COL_PR];
	int64_t *op = tr->to->column[TL_COL_LINK_OP];
	struct name_memo *memo;
	enum tl_err err;

	for (uint32_t i = 0; i < tr->count; i++) {
		uint32_t repo = (uint32_t)tl_batch_get(tr->from, TL_COL_REPO, tr->row_idx[i]);
		uint32_t at = tr->first + i;

		if (repo == 0)
			continue;
		err = find_name(tr, repo, tr->row_idx[i], &memo);
		if (err)
			return err;
		if (!memo->is_other)
			continue;
		(*other_count)++;
		if (number != NULL)
			number[at] = 0;
		if (op != NULL && op[at] == TL_LINK_ADD_PR)
			op[at] = TL_LINK_NONE;
	}
	return TL_OK;
}

/* Whether the org may have the pull request of a row, remembered as its names are. */
static enum tl_err
know_pull(struct translation *tr, uint32_t org, struct tl_pr pull, bool *is_known_out)
{
	uint32_t hash = (pull.number + pull.repo * 0x9e3779b1u) * 0x85ebca6bu + org;
	struct pull_memo *memo = &tr->memo->pulls[hash >> 7 & tr->memo->mask];
	struct pull_memo fresh = {.org = org, .pull = pull};
	enum tl_err err;

	if (memo->org != org || memo->pull.repo != pull.repo || memo->pull.number != pull.number) {
		err = find_pull(tr->commit, org, pull, &fresh.is_known, tr->why);
		if (err)
			return err;
		*memo = fresh;
	}
	*is_known_out = memo->is_known;
	return TL_OK;
}

/* Pull requests past the limit: the event keeps its usage and its repo, a link says nothing. */
static enum tl_err
clear_pulls(struct translation *tr)
{
	const int64_t *org = tr->to->column[TL_COL_ORG];
	int64_t *number = tr->to->column[TL_COL_PR];
	int64_t *op = tr->to->column[TL_COL_LINK_OP];

	if (tr->from->column[TL_COL_PR] == NULL)
		return TL_OK;
	for (uint32_t at = tr->first; at < tr->first + tr->count; at++) {
		bool is_link = op != NULL && op[at] == TL_LINK_ADD_PR;
		struct tl_pr pull = {
			(uint32_t)tl_batch_get(tr->to, TL_COL_REPO, at), (uint32_t)number[at]};
		bool is_known = false;
		enum tl_err err;

		/* Without a repo an event's number names nothing. */
		if (number[at] == 0 || (pull.repo == 0 && !is_link))
			continue;
		err = know_pull(tr, (uint32_t)org[at], pull, &is_known);
		if (err)
			return err;
		if (is_known)
			continue;
		(*tr->other_count)++;
		number[at] = 0;
		if (is_link)
			op[at] = TL_LINK_NONE;
	}
	return TL_OK;
}

enum tl_err
names_translate(struct commit *commit, const struct tl_batch *from, const uint32_t *row_idx,
	uint32_t count, struct names_memo *memo, enum names_mode mode, struct tl_batch *to,
	uint32_t *other_count, struct tl_why *why)
{
	struct translation tr = {
		.commit = commit,
		.from = from,
		.row_idx = row_idx,
		.count = count,
		.memo = memo,
		.to = to,
		.first = to->row_count,
		.other_count = other_count,
		.why = why,
	};
	enum tl_err err;

	assert(to->row_count + count <= to->row_capacity);
	if (count == 0)
		return TL_OK;
	err = copy_columns(&tr);
	if (!err && tr.has_other)
		err = clear_others(&tr, other_count);
	if (!err)
		err = clear_pulls(&tr);
	if (!err)
		err = people_translate(commit, from, row_idx, count, mode, to, other_count);
	return err;
}
