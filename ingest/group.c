#include "ingest/group.h"

#include <assert.h>

#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/model/limits.h"
#include "schema/model/money.h"
#include "schema/store/block.h"
#include "schema/store/fresh.h"
#include "schema/store/key.h"

/* A group of TL_GROUP_EVENTS_MAX rows with all columns is 22 MiB; growing leaves copies behind. */
#define GROUP_ARENA_BYTES_MAX ((size_t)256 << 20)

void
group_init(struct group *group)
{
	*group = (struct group){0};
	tl_arena_init(&group->arena, GROUP_ARENA_BYTES_MAX);
	tl_buf_init(&group->block, 0);
}

void
group_fini(struct group *group)
{
	group_end(group, NULL, false);
	tl_buf_fini(&group->block);
	tl_arena_fini(&group->arena);
}

enum tl_err
group_begin(struct group *group, uint64_t group_no, int64_t received_ms, uint32_t row_capacity)
{
	tl_arena_reset(&group->arena);
	*group = (struct group){
		.arena = group->arena,
		.block = group->block,
		.group_no = group_no,
		.received_ms = received_ms,
	};
	/* Not tl_batch_init: a group has no rejects. */
	group->rows.arena = &group->arena;
	group->days = tl_arena_array(&group->arena, GROUP_DAYS_MAX, sizeof(*group->days));
	if (group->days == NULL)
		return TL_ENOMEM;
	return group_reserve(group, row_capacity > 0 ? row_capacity : 1);
}

bool
group_fits_cost(struct group *group, const struct tl_batch *batch)
{
	const int64_t *cost_nusd = batch->column[TL_COL_COST];
	const int64_t *rev = batch->column[TL_COL_REV];
	int64_t bound = group->cost_nusd_bound;

	for (uint32_t i = 0; i < batch->row_count; i++) {
		if (cost_nusd != NULL && cost_nusd[i] > 0 && !tl_sum_add(&bound, cost_nusd[i]))
			return false;
		/* What it takes back is not known yet. */
		if (rev != NULL && rev[i] > 0 && !tl_sum_add(&bound, TL_COST_NUSD_MAX))
			return false;
	}
	group->cost_nusd_bound = bound;
	return true;
}

static enum tl_err
widen_columns(struct tl_batch *rows, uint32_t capacity)
{
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		int64_t *values;

		if (rows->column[column] == NULL)
			continue;
		values = tl_arena_room(rows->arena, capacity, sizeof(*values));
		if (values == NULL)
			return TL_ENOMEM;
		memcpy(values, rows->column[column], rows->row_count * sizeof(*values));
		rows->column[column] = values;
	}
	return TL_OK;
}

enum tl_err
group_reserve(struct group *group, uint32_t count)
{
	struct tl_batch *rows = &group->rows;
	uint32_t capacity = rows->row_capacity * 2;
	uint8_t(*id)[16];
	struct dedupe_slot **slots;
	uint16_t *day_idx;

	if (count <= rows->row_capacity - rows->row_count)
		return TL_OK;
	if (capacity < rows->row_count + count)
		capacity = rows->row_count + count;
	/* Row numbers have 16 bits in the id table. */
	if (capacity > UINT16_MAX)
		capacity = UINT16_MAX;
	assert(rows->row_count + count <= capacity);
	id = tl_arena_room(&group->arena, capacity, sizeof(*id));
	slots = tl_arena_room(&group->arena, capacity, sizeof(*slots));
	day_idx = tl_arena_room(&group->arena, capacity, sizeof(*day_idx));
	if (id == NULL || slots == NULL || day_idx == NULL ||
		widen_columns(rows, capacity) != TL_OK)
		return TL_ENOMEM;
	if (rows->row_count > 0) {
		memcpy(id, rows->id, rows->row_count * sizeof(*id));
		memcpy(slots, group->slots, rows->row_count * sizeof(*slots));
		memcpy(day_idx, group->day_idx, rows->row_count * sizeof(*day_idx));
	}
	rows->id = id;
	group->slots = slots;
	group->day_idx = day_idx;
	rows->row_capacity = capacity;
	return TL_OK;
}

bool
group_find_day(struct group *group, int64_t time_ms, uint16_t *day_idx_out)
{
	const struct group_day *last = &group->days[group->day_last];
	int64_t day_ms;
	uint32_t i = 0;

	/* Events come in the order of time, more or less. */
	if (group->day_count > 0 && time_ms >= last->day_ms && time_ms - last->day_ms < TL_DAY_MS) {
		*day_idx_out = (uint16_t)group->day_last;
		return true;
	}
	day_ms = tl_bucket_floor(TL_SPAN_1D, time_ms);
	while (i < group->day_count && group->days[i].day_ms != day_ms)
		i++;
	if (i == GROUP_DAYS_MAX)
		return false;
	if (i == group->day_count) {
		group->days[i].day_ms = day_ms;
		group->day_count++;
	}
	group->day_last = i;
	*day_idx_out = (uint16_t)i;
	return true;
}

void
group_add(struct group *group, uint16_t day_idx, struct dedupe_slot *slot)
{
	uint32_t row_idx = group->rows.row_count;

	assert(row_idx < group->rows.row_capacity);
	assert(day_idx < group->day_count);
	group->slots[row_idx] = slot;
	group->day_idx[row_idx] = day_idx;
	group->days[day_idx].row_count++;
	group->stored_count++;
	group->rows.row_count++;
}

void
group_drop(struct group *group, uint32_t row_idx)
{
	assert(row_idx < group->rows.row_count);
	assert(group->day_idx[row_idx] != GROUP_NO_DAY);
	group->days[group->day_idx[row_idx]].row_count--;
	group->stored_count--;
	group->day_idx[row_idx] = GROUP_NO_DAY;
	group->slots[row_idx] = NULL;
}

enum tl_err
group_retract(struct group *group, const struct tl_batch *stored, uint32_t row_idx,
	int64_t received_ms, uint16_t day_idx)
{
	struct tl_batch *rows = &group->rows;
	uint32_t to = rows->row_count;
	int64_t ts_ms = tl_batch_get(stored, TL_COL_TS, row_idx);
	enum tl_err err = TL_OK;

	assert(to < rows->row_capacity);
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT && !err; column++)
		err = tl_batch_set(rows, column, to, tl_batch_get(stored, column, row_idx));
	if (!err)
		err = tl_batch_set(rows, TL_COL_SIGN, to, -1);
	if (!err)
		err = tl_batch_set(rows, TL_COL_TS, to, tl_event_time(ts_ms, received_ms));
	if (err)
		return err;
	memcpy(rows->id[to], stored->id[row_idx], sizeof(rows->id[to]));
	group_add(group, day_idx, NULL);
	return TL_OK;
}

void
group_prints(const struct group_print_key *key, const struct tl_batch *batch, uint32_t first,
	uint32_t count, uint64_t *prints_out)
{
	for (uint32_t i = 0; i < count; i++)
		prints_out[i] = key->base;
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		uint64_t initial = (uint64_t)tl_column_default(column);
		uint64_t low = key->low[column];
		uint64_t high = key->high[column];
		const int64_t *values = batch->column[column];

		if (values == NULL || column == TL_COL_SIGN || column == TL_COL_REV ||
			column == TL_COL_ORG)
			continue;
		/* A default adds nothing, so an absent column is the same as one of defaults. */
		for (uint32_t i = 0; i < count; i++) {
			uint64_t value = (uint64_t)values[first + i] - initial;

			prints_out[i] += low * (uint32_t)value + high * (value >> 32);
		}
	}
}

/* order[]: the rows of each day side by side, in the order they came. */
static enum tl_err
sort_by_day(struct group *group)
{
	uint32_t *next = tl_arena_array(&group->arena, group->day_count, sizeof(*next));
	uint32_t first = 0;
	uint16_t block_no = 0;

	group->order = tl_arena_room(&group->arena, group->stored_count, sizeof(*group->order));
	group->blocks = tl_arena_array(&group->arena, group->day_count, sizeof(*group->blocks));
	if (next == NULL || group->order == NULL || group->blocks == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < group->day_count; i++) {
		struct group_day *day = &group->days[i];

		day->first = first;
		next[i] = first;
		first += day->row_count;
		if (day->row_count > 0)
			day->block_no = block_no++;
	}
	assert(first == group->stored_count);
	for (uint32_t i = 0; i < group->rows.row_count; i++) {
		if (group->day_idx[i] != GROUP_NO_DAY)
			group->order[next[group->day_idx[i]]++] = i;
	}
	return TL_OK;
}

static enum tl_err
put_block(struct group *group, struct group_day *day, struct tl_store *store,
	struct tl_write *write, struct tl_why *why)
{
	struct tl_key key = tl_key_block(group->group_no, day->block_no);
	struct tl_block_head head;
	enum tl_err err;

	err = tl_day_make(store, day->day_ms, &day->day, why);
	if (err)
		return err;
	tl_buf_reset(&group->block);
	err = tl_block_encode(&group->rows, group->order + day->first, day->row_count,
		group->received_ms, &group->block);
	if (!err)
		err = tl_block_head(tl_buf_slice(&group->block), &head);
	if (!err && !tl_sum_add(&group->cost_nusd, head.cost_nusd))
		err = TL_EAMOUNT_OVERFLOW;
	if (err)
		return tl_fail(why, err, "group %llu: block %u does not encode",
			(unsigned long long)group->group_no, day->block_no);
	tl_write_put_raw(write, day->day, tl_key_slice(&key), tl_buf_slice(&group->block));
	group->blocks[group->block_count++] = (struct tl_journal_block){
		.day_ms = day->day_ms,
		.block_no = day->block_no,
		.row_count = day->row_count,
		.cost_nusd = head.cost_nusd,
	};
	return TL_OK;
}

enum tl_err
group_put(struct group *group, struct tl_store *store, struct tl_write *write, struct tl_why *why)
{
	enum tl_err err;

	if (group->stored_count == 0)
		return TL_OK;
	err = sort_by_day(group);
	for (uint32_t i = 0; i < group->day_count && !err; i++) {
		if (group->days[i].row_count > 0)
			err = put_block(group, &group->days[i], store, write, why);
	}
	return err;
}

void
group_settle(struct group *group)
{
	for (uint32_t i = 0; i < group->day_count; i++) {
		const struct group_day *day = &group->days[i];

		for (uint32_t k = 0; k < day->row_count; k++) {
			struct dedupe_slot *slot = group->slots[group->order[day->first + k]];
			struct dedupe_place place = {.group_no = group->group_no,
				.block_no = day->block_no,
				.row_idx = (uint16_t)k};

			if (slot != NULL)
				slot->place = dedupe_place_pack(place);
		}
	}
}

void
group_end(struct group *group, struct tl_store *store, bool is_durable)
{
	struct tl_fresh fresh = {
		.group_no = group->group_no,
		.received_ms = group->received_ms,
		.rows = group->rows,
		.order = group->order,
		.count = group->stored_count,
	};

	for (uint32_t i = 0; i < group->day_count; i++) {
		if (group->days[i].day != NULL)
			tl_day_unpin(group->days[i].day);
	}
	group->day_count = 0;
	if (is_durable && group->stored_count > 0)
		tl_fresh_put(store, &fresh, &group->arena);
}
