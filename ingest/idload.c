#include "ingest/idload.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ingest/writer.h"
#include "schema/model/money.h"

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define PREFETCH_ROWS 16u
#define ID_COLUMNS (1ull << TL_COL_ORG | 1ull << TL_COL_SIGN)

void
idload_init(
	struct idload *load, const struct commit *commit, uint64_t group_first, uint64_t group_end)
{
	*load = (struct idload){.store = commit->store,
		.dedupe = commit->dedupe,
		.bytes_max = commit->settings.id_index_bytes_max,
		.group_first = group_first,
		.group_end = group_end};
	tl_arena_init(&load->arena, ARENA_BYTES_MAX);
}

void
idload_fini(struct idload *load)
{
	tl_arena_fini(&load->arena);
}

/*
 * An id of a group at its place. Within a group an id has one row at most beside the row it takes
 * back, so the highest group that has it is where it stands.
 */
static enum tl_err
load_id(struct idload *load, const struct dedupe_key *key, struct dedupe_place place)
{
	struct dedupe *dedupe = load->dedupe;
	struct dedupe_slot *slot;
	bool is_new;
	/* One by one: a revision of a known id needs no room. */
	enum tl_err err = dedupe_reserve(dedupe, 1);

	if (err)
		return err;
	slot = dedupe_claim(dedupe, key, &is_new);
	if (!is_new && dedupe_place_of(slot).group_no > place.group_no)
		return TL_OK;
	slot->place = dedupe_place_pack(place);
	slot->print = 0;
	return TL_OK;
}

static enum tl_err
load_ids(struct idload *load, const struct tl_batch *batch, uint64_t group_no, uint16_t block_no)
{
	const int64_t *orgs = batch->column[TL_COL_ORG];
	const int64_t *signs = batch->column[TL_COL_SIGN];
	struct dedupe_key keys[PREFETCH_ROWS]; /* of the rows ahead */
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < batch->row_count + PREFETCH_ROWS && !err; i++) {
		struct dedupe_key *key = &keys[i % PREFETCH_ROWS];
		uint32_t row_idx = i - PREFETCH_ROWS;

		if (i >= PREFETCH_ROWS && signs != NULL && signs[row_idx] < 0)
			load->has_retractions = true;
		else if (i >= PREFETCH_ROWS)
			err = load_id(load, key,
				(struct dedupe_place){group_no, block_no, (uint16_t)row_idx});
		if (i < batch->row_count) {
			*key = dedupe_key_of(load->dedupe, (uint32_t)orgs[i], batch->id[i]);
			dedupe_prefetch(load->dedupe, key);
		}
	}
	return err;
}

static enum tl_err
full_fail(const struct idload *load, enum tl_err err, struct tl_why *why)
{
	return tl_fail(
		why, err, "the id index is at its cap of %" PRId64 " bytes", load->bytes_max);
}

enum tl_err
idload_block(struct idload *load, struct tl_slice block, uint64_t group_no, uint16_t block_no,
	uint32_t row_count, struct tl_why *why)
{
	struct tl_block_head head;
	struct tl_batch batch;
	enum tl_err err;

	tl_arena_reset(&load->arena);
	err = tl_block_decode(block, ID_COLUMNS, &load->arena, &head, &batch);
	if (!err && (head.row_count > UINT16_MAX || batch.column[TL_COL_ORG] == NULL))
		err = TL_ESTORAGE_CORRUPT;
	if (err)
		return tl_fail(why, err, "group %" PRIu64 ": block %u: %s", group_no, block_no,
			tl_err_text(err));
	if (row_count != 0 && head.row_count != row_count)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": block %u has %" PRIu32
			" rows, the journal says %" PRIu32,
			group_no, block_no, head.row_count, row_count);
	err = load_ids(load, &batch, group_no, block_no);
	return err ? full_fail(load, err, why) : TL_OK;
}

/* What the rows of a run must add up to. */
struct run_sum {
	uint32_t *row_counts; /* by group of the run */
	uint8_t id_xor[16];
	int64_t cost_nusd;
};

static enum tl_err
load_chunk(struct idload *load, const struct tl_run *run, const struct tl_chunk *rows,
	uint32_t first_row, struct run_sum *sum)
{
	const int64_t *orgs = rows->batch.column[TL_COL_ORG];
	enum tl_err err = orgs != NULL ? TL_OK : TL_ESTORAGE_CORRUPT;

	for (uint32_t i = 0; i < rows->batch.row_count && !err; i++) {
		const struct tl_run_group *group = &run->groups[rows->group_idx[i]];
		const uint8_t *id = rows->batch.id[i];
		struct dedupe_key key;

		sum->row_counts[rows->group_idx[i]]++;
		for (int k = 0; k < 16; k++)
			sum->id_xor[k] ^= id[k];
		if (group->group_no < load->group_first || group->group_no >= load->group_end)
			continue;
		if (tl_batch_get(&rows->batch, TL_COL_SIGN, i) < 0) {
			load->has_retractions = true;
			continue;
		}
		key = dedupe_key_of(load->dedupe, (uint32_t)orgs[i], id);
		err = load_id(load, &key,
			(struct dedupe_place){
				group->group_no, group->block_no, (uint16_t)(first_row + i)});
	}
	return tl_sum_add(&sum->cost_nusd, rows->cost_nusd) ? err : TL_ESTORAGE_CORRUPT;
}

static bool
is_run_sum(const struct tl_run *run, const struct run_sum *sum)
{
	for (uint32_t i = 0; i < run->group_count; i++) {
		if (sum->row_counts[i] != run->groups[i].row_count)
			return false;
	}
	return sum->cost_nusd == run->cost_nusd &&
	       memcmp(sum->id_xor, run->id_xor, sizeof(sum->id_xor)) == 0;
}

enum tl_err
idload_run(struct idload *load, struct tl_day *day, const struct tl_run *run, struct tl_why *why)
{
	struct run_sum sum = {.cost_nusd = 0};
	enum tl_err err = TL_OK;

	sum.row_counts = calloc(run->group_count, sizeof(*sum.row_counts));
	if (sum.row_counts == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < run->chunk_count && !err; i++) {
		struct tl_chunk rows;

		tl_arena_reset(&load->arena);
		err = tl_sealed_chunk(
			load->store, NULL, day, run, i, ID_COLUMNS, &load->arena, &rows, why);
		if (err)
			break;
		err = load_chunk(load, run, &rows, i * TL_RUN_CHUNK_ROWS, &sum);
		if (err == TL_EID_INDEX_FULL)
			err = full_fail(load, err, why);
	}
	if (!err && !is_run_sum(run, &sum))
		err = tl_fail(why, TL_EACKED_DATA_MISSING,
			"the run to group %" PRIu64 " is not the sum of its groups",
			tl_run_group_last(run));
	free(sum.row_counts);
	return err;
}
