/*
 * Ids are counted exactly, in as many rounds over raw as memory asks for: each round takes the ids
 * whose hash falls into its part.
 */
#include <stdlib.h>

#include "rollup/audit_parts.h"
#include "schema/base/crypt.h"

#define COLUMN(column) (UINT64_C(1) << (column))
#define ID_COLUMNS \
	(COLUMN(TL_COL_ORG) | COLUMN(TL_COL_SIGN) | COLUMN(TL_COL_REV) | COLUMN(TL_COL_TS))

/* Ids a round; a slot is 32 bytes and the table at most half full: half a GiB. */
#define ROUND_IDS_MAX (8u << 20)
#define SLOTS_MIN 1024u

struct id_slot {
	uint8_t id[16];
	uint32_t org;
	int32_t net;
	int32_t rev_max;      /* of rows that are not taking back */
	uint32_t taken_count; /* rows that take back */
};

struct id_table {
	struct id_slot *slots; /* free: net and taken_count 0 and org 0 and id zeros */
	bool *is_used;
	size_t slot_count, count;
	uint64_t seed;
	uint64_t round, round_count;
	bool is_first;
};

static uint64_t
hash_id(uint32_t org, const uint8_t id[16], uint64_t seed)
{
	uint64_t halves[2];

	memcpy(halves, id, sizeof(halves));
	return index_hash(halves[0] ^ seed, halves[1] + org * UINT64_C(0x9e3779b97f4a7c15));
}

static struct id_slot *
find_slot(struct id_table *table, uint64_t hash, uint32_t org, const uint8_t id[16])
{
	size_t mask = table->slot_count - 1;

	for (size_t at = (hash >> 8) & mask;; at = (at + 1) & mask) {
		struct id_slot *slot = &table->slots[at];

		if (!table->is_used[at]) {
			table->is_used[at] = true;
			table->count++;
			*slot = (struct id_slot){.org = org, .rev_max = -1};
			memcpy(slot->id, id, sizeof(slot->id));
			return slot;
		}
		if (slot->org == org && memcmp(slot->id, id, sizeof(slot->id)) == 0)
			return slot;
	}
}

static enum tl_err
make_slots(struct id_table *table, size_t slot_count)
{
	table->slots = malloc(slot_count * sizeof(*table->slots));
	table->is_used = calloc(slot_count, sizeof(*table->is_used));
	table->slot_count = slot_count;
	table->count = 0;
	return table->slots == NULL || table->is_used == NULL ? TL_ENOMEM : TL_OK;
}

static enum tl_err
grow_slots(struct id_table *table)
{
	struct id_table before = *table;
	enum tl_err err = make_slots(table, before.slot_count * 2);

	for (size_t i = 0; !err && i < before.slot_count; i++) {
		const struct id_slot *slot = &before.slots[i];

		if (before.is_used[i])
			*find_slot(table, hash_id(slot->org, slot->id, table->seed), slot->org,
				slot->id) = *slot;
	}
	free(before.slots);
	free(before.is_used);
	return err;
}

static enum tl_err
visit_id(struct audit *audit, const struct audit_row *row, void *arg, struct tl_why *why)
{
	struct id_table *table = arg;
	const uint8_t *id = row->batch->id[row->idx];
	uint64_t hash = hash_id(row->org, id, table->seed);
	struct id_slot *slot;
	int64_t rev;

	(void)why;
	if (table->is_first)
		audit->report.events++;
	if (table->round_count > 1 && (hash >> 40) % table->round_count != table->round)
		return TL_OK;
	if ((table->count + 1) * 2 > table->slot_count) {
		enum tl_err err = grow_slots(table);

		if (err)
			return err;
	}
	slot = find_slot(table, hash, row->org, id);
	slot->net += row->sign;
	rev = tl_batch_get(row->batch, TL_COL_REV, row->idx);
	if (row->sign < 0)
		slot->taken_count++;
	else if (rev > slot->rev_max)
		slot->rev_max = (int32_t)rev;
	return TL_OK;
}

static uint64_t
hash_corrected(uint32_t org, const uint8_t id[16])
{
	return hash_id(org, id, 0);
}

static struct audit_corrected *
find_corrected(const struct audit *audit, uint32_t org, const uint8_t id[16])
{
	uint64_t hash = hash_corrected(org, id);
	uint64_t at = hash;
	struct audit_corrected *corrected;

	while ((corrected = index_next(&audit->corrected, hash, &at)) != NULL) {
		if (corrected->org == org && memcmp(corrected->id, id, 16) == 0)
			break;
	}
	return corrected;
}

static enum tl_err
judge_id(struct audit *audit, const struct id_slot *slot)
{
	struct audit_corrected *corrected;
	char text[33];

	audit->report.ids++;
	if (slot->net != 1) {
		tl_hex(slot->id, sizeof(slot->id), text);
		audit_differs(audit, "org %u: the id %s counts %d times in raw", slot->org, text,
			slot->net);
	}
	if (slot->taken_count == 0)
		return TL_OK;
	corrected = tl_arena_alloc(&audit->arena, sizeof(*corrected));
	if (corrected == NULL)
		return TL_ENOMEM;
	*corrected = (struct audit_corrected){
		.org = slot->org, .rev = slot->net > 0 ? slot->rev_max : INT64_MAX};
	memcpy(corrected->id, slot->id, sizeof(corrected->id));
	return index_put(
		&audit->corrected, &audit->arena, hash_corrected(slot->org, slot->id), corrected);
}

static enum tl_err
run_round(struct audit *audit, struct id_table *table, size_t ids_expected, struct tl_why *why)
{
	size_t slot_count = SLOTS_MIN;
	enum tl_err err;

	while (slot_count < ids_expected * 2)
		slot_count *= 2;
	err = make_slots(table, slot_count);
	for (size_t i = 0; !err && i < audit->day_count; i++)
		err = audit_read_day(audit, i, ID_COLUMNS, visit_id, table, why);
	for (size_t i = 0; !err && i < table->slot_count; i++) {
		if (table->is_used[i])
			err = judge_id(audit, &table->slots[i]);
	}
	free(table->slots);
	free(table->is_used);
	return err;
}

enum tl_err
audit_ids(struct audit *audit, struct tl_why *why)
{
	struct id_table table = {.is_first = true};
	uint64_t row_count = 0;
	enum tl_err err = TL_OK;

	tl_random(&table.seed, sizeof(table.seed));
	for (size_t i = 0; i < audit->block_count; i++)
		row_count += audit->blocks[i].row_count;
	table.round_count = row_count / ROUND_IDS_MAX + 1;
	if (audit->progress != NULL)
		atomic_fetch_add(&audit->progress->blocks_total,
			(table.round_count - 1) * audit->block_count);
	for (; !err && table.round < table.round_count; table.round++) {
		err = run_round(audit, &table, row_count / table.round_count, why);
		table.is_first = false;
	}
	return err;
}

bool
audit_counts(const struct audit *audit, const struct audit_row *row)
{
	const struct audit_corrected *corrected;

	if (row->sign < 0)
		return false;
	if (audit->corrected.count == 0)
		return true;
	corrected = find_corrected(audit, row->org, row->batch->id[row->idx]);
	return corrected == NULL ||
	       tl_batch_get(row->batch, TL_COL_REV, row->idx) == corrected->rev;
}
