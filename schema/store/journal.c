/*
 *   version u8 = 1 | group number varint | epoch be64 | first seq varint | row count varint
 *   received_ms zigzag | cost zigzag
 *   block count varint, then per block: day number zigzag | block number, row count varint |
 *   cost zigzag
 *   chain be64: XXH3-64 of (chain of the row before be64, all bytes before)
 *
 * The chain of group 1 follows 0.
 */
#include "schema/store/journal.h"

#include <assert.h>
#include <inttypes.h>

#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/store_private.h"

#define JOURNAL_VERSION 1
#define CHAIN_BYTES 8
#define BLOCK_BYTES_MIN 4
#define ROW_ARENA_BYTES_MAX ((size_t)16 << 20)

static void
put_row(const struct tl_journal_row *row, struct tl_buf *buf)
{
	tl_buf_put_u8(buf, JOURNAL_VERSION);
	tl_buf_put_varint(buf, row->group_no);
	tl_buf_put_be64(buf, row->epoch);
	tl_buf_put_varint(buf, row->seq_first);
	tl_buf_put_varint(buf, row->seq_last + 1 - row->seq_first);
	tl_buf_put_zigzag(buf, row->received_ms);
	tl_buf_put_zigzag(buf, row->cost_nusd);
	tl_buf_put_varint(buf, row->block_count);
	for (uint32_t i = 0; i < row->block_count; i++) {
		const struct tl_journal_block *block = &row->blocks[i];

		tl_buf_put_zigzag(buf, tl_bucket_no(TL_SPAN_1D, block->day_ms));
		tl_buf_put_varint(buf, block->block_no);
		tl_buf_put_varint(buf, block->row_count);
		tl_buf_put_zigzag(buf, block->cost_nusd);
	}
}

/* The previous chain and the row's bytes side by side, as the checksum wants them. */
static void
put_chained(struct tl_buf *both, uint64_t previous_chain, const struct tl_journal_row *row)
{
	tl_buf_init(both, 0);
	tl_buf_put_be64(both, previous_chain);
	put_row(row, both);
}

void
tl_journal_encode(struct tl_journal_row *row, uint64_t previous_chain, struct tl_buf *buf)
{
	struct tl_buf both;

	put_chained(&both, previous_chain, row);
	if (both.err) {
		if (!buf->err)
			buf->err = both.err;
		tl_buf_fini(&both);
		return;
	}
	row->chain = tl_checksum64(tl_buf_slice(&both));
	tl_buf_put(buf, both.data + CHAIN_BYTES, both.bytes - CHAIN_BYTES);
	tl_buf_put_be64(buf, row->chain);
	tl_buf_fini(&both);
}

/* Without memory nothing is known, and what is not known to be chained is not. */
bool
tl_journal_chained(const struct tl_journal_row *row, uint64_t previous_chain)
{
	struct tl_buf both;
	bool chained;

	put_chained(&both, previous_chain, row);
	chained = !both.err && tl_checksum64(tl_buf_slice(&both)) == row->chain;
	tl_buf_fini(&both);
	return chained;
}

static enum tl_err
take_blocks(struct tl_cursor *cur, struct tl_arena *arena, struct tl_journal_row *row)
{
	uint64_t block_count = tl_cursor_varint(cur);

	if (cur->err || block_count > tl_cursor_left(cur) / BLOCK_BYTES_MIN)
		return TL_ESTORAGE_CORRUPT;
	row->block_count = (uint32_t)block_count;
	row->blocks = tl_arena_array(arena, block_count, sizeof(*row->blocks));
	if (row->blocks == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < row->block_count; i++) {
		struct tl_journal_block *block = &row->blocks[i];
		int64_t day_no = tl_cursor_zigzag(cur);
		uint64_t block_no = tl_cursor_varint(cur);
		uint64_t row_count = tl_cursor_varint(cur);

		block->cost_nusd = tl_cursor_zigzag(cur);
		if (block_no > UINT16_MAX || row_count > UINT32_MAX ||
			__builtin_mul_overflow(day_no, TL_DAY_MS, &block->day_ms))
			return TL_ESTORAGE_CORRUPT;
		block->block_no = (uint16_t)block_no;
		block->row_count = (uint32_t)row_count;
	}
	return TL_OK;
}

enum tl_err
tl_journal_decode(uint64_t group_no, struct tl_slice bytes, struct tl_arena *arena,
	struct tl_journal_row *row_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_journal_row row = {.group_no = group_no};
	uint8_t version = tl_cursor_u8(&cur);
	uint64_t stored_no = tl_cursor_varint(&cur);
	uint64_t row_count;
	enum tl_err err;

	row.epoch = tl_cursor_be64(&cur);
	row.seq_first = tl_cursor_varint(&cur);
	row_count = tl_cursor_varint(&cur);
	row.received_ms = tl_cursor_zigzag(&cur);
	row.cost_nusd = tl_cursor_zigzag(&cur);
	if (cur.err || version != JOURNAL_VERSION || stored_no != group_no ||
		__builtin_add_overflow(row.seq_first, row_count, &row.seq_last))
		return TL_ESTORAGE_CORRUPT;
	row.seq_last--;
	err = take_blocks(&cur, arena, &row);
	if (err)
		return err;
	row.chain = tl_cursor_be64(&cur);
	if (cur.err || tl_cursor_left(&cur) != 0)
		return TL_ESTORAGE_CORRUPT;
	*row_out = row;
	return TL_OK;
}

static enum tl_err
decode_pair(struct tl_slice key, struct tl_slice value, struct tl_arena *arena,
	struct tl_journal_row *row_out, struct tl_why *why)
{
	uint64_t group_no;
	enum tl_err err;

	if (!tl_key_journal_parse(key, &group_no))
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "a journal key of %zu bytes", key.bytes);
	err = tl_journal_decode(group_no, value, arena, row_out);
	if (err)
		return tl_fail(why, err, "journal row %" PRIu64 ": %s", group_no, tl_err_text(err));
	return TL_OK;
}

enum tl_err
tl_journal_first(struct tl_store *store, uint64_t *group_no_out, struct tl_why *why)
{
	struct tl_slice none = tl_slice_of(NULL, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open(store, NULL, TL_FAMILY_JOURNAL, none, none, &scan, why);
	if (!err)
		err = tl_scan_next(scan, &key, &value, why);
	if (!err && !tl_key_journal_parse(key, group_no_out))
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "a journal key of %zu bytes", key.bytes);
	tl_scan_free(scan);
	return err == TL_EEND ? TL_ENOT_FOUND : err;
}

enum tl_err
tl_journal_last(struct tl_store *store, struct tl_arena *arena, struct tl_journal_row *row_out,
	struct tl_why *why)
{
	struct tl_buf key;
	struct tl_buf value;
	enum tl_err err;

	tl_buf_init(&key, 0);
	tl_buf_init(&value, 0);
	err = tl_store_last(store, TL_FAMILY_JOURNAL, &key, &value, why);
	if (!err)
		err = decode_pair(tl_buf_slice(&key), tl_buf_slice(&value), arena, row_out, why);
	tl_buf_fini(&key);
	tl_buf_fini(&value);
	return err;
}

struct walk {
	struct tl_arena arena; /* of the row that is visited */
	uint64_t group_no;     /* the next to come */
	uint64_t chain;	       /* of the row before it */
	bool chain_known;
};

/* The chain before the first row. Where the row before has expired, the first is taken as it is. */
static enum tl_err
begin_walk(struct walk *walk, struct tl_store *store, struct tl_why *why)
{
	struct tl_key key;
	struct tl_journal_row row;
	struct tl_buf value;
	enum tl_err err;

	walk->chain = 0;
	walk->chain_known = walk->group_no == 1;
	if (walk->group_no <= 1)
		return TL_OK;
	tl_buf_init(&value, 0);
	key = tl_key_journal(walk->group_no - 1);
	err = tl_store_get(store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key), &value, why);
	if (!err)
		err = decode_pair(
			tl_key_slice(&key), tl_buf_slice(&value), &walk->arena, &row, why);
	tl_buf_fini(&value);
	if (err == TL_ENOT_FOUND)
		return TL_OK;
	if (err)
		return err;
	walk->chain = row.chain;
	walk->chain_known = true;
	return TL_OK;
}

static enum tl_err
step_walk(struct walk *walk, struct tl_slice key, struct tl_slice value, struct tl_journal_row *row,
	struct tl_why *why)
{
	enum tl_err err;

	tl_arena_reset(&walk->arena);
	err = decode_pair(key, value, &walk->arena, row, why);
	if (err)
		return err;
	if (row->group_no != walk->group_no)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"journal: group %" PRIu64 " is missing, the next there is %" PRIu64,
			walk->group_no, row->group_no);
	if (walk->chain_known && !tl_journal_chained(row, walk->chain))
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"journal: group %" PRIu64 " does not follow from group %" PRIu64,
			row->group_no, row->group_no - 1);
	walk->chain = row->chain;
	walk->chain_known = true;
	walk->group_no++;
	return TL_OK;
}

enum tl_err
tl_journal_walk(struct tl_store *store, uint64_t group_no,
	enum tl_err (*visit)(void *arg, const struct tl_journal_row *row, struct tl_why *why),
	void *arg, struct tl_why *why)
{
	struct walk walk = {.group_no = group_no};
	struct tl_key first = tl_key_journal(group_no);
	struct tl_journal_row row;
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	tl_arena_init(&walk.arena, ROW_ARENA_BYTES_MAX);
	err = begin_walk(&walk, store, why);
	if (!err)
		err = tl_scan_open(store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&first),
			tl_slice_of(NULL, 0), &scan, why);
	while (!err) {
		err = tl_scan_next(scan, &key, &value, why);
		if (err)
			break;
		err = step_walk(&walk, key, value, &row, why);
		if (!err)
			err = visit(arg, &row, why);
	}
	tl_scan_free(scan);
	tl_arena_fini(&walk.arena);
	return err == TL_EEND ? TL_OK : err;
}
