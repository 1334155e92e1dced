#include "ingest/own.h"

#include "ingest/rejects.h"
#include "schema/base/crypt.h"

bool
own_is(const struct tl_caller *caller)
{
	return caller->type == TL_CREDENTIAL_AGENT && !caller->is_operator;
}

/* The column in which the row claims to be somebody's, or TL_COL_COUNT. */
static enum tl_column
find_claim(const struct tl_batch *batch, uint32_t row_idx, uint32_t own_key)
{
	static const enum tl_column people[] = {
		TL_COL_EMAIL, TL_COL_MEMBER_ID, TL_COL_EMAIL_ENC, TL_COL_AGENT_TYPE};
	int64_t key = tl_batch_get(batch, TL_COL_KEY, row_idx);

	if (key != 0 && key != own_key)
		return TL_COL_KEY;
	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		if (tl_batch_get(batch, people[i], row_idx) != 0)
			return people[i];
	}
	return TL_COL_COUNT;
}

static void
move_id(uint32_t member_no, uint8_t id[16])
{
	static const char domain[] = "tally-own"; /* hashed with its terminator */
	uint8_t data[sizeof(domain) + 4 + 16];
	uint8_t digest[32];

	memcpy(data, domain, sizeof(domain));
	tl_put_be32(data + sizeof(domain), member_no);
	memcpy(data + sizeof(domain) + 4, id, 16);
	tl_sha256(tl_slice_of(data, sizeof(data)), digest);
	memcpy(id, digest, 16);
}

static void
drop_pr(struct tl_batch *batch, uint32_t row_idx)
{
	if (tl_batch_get(batch, TL_COL_PR, row_idx) == 0)
		return;
	batch->column[TL_COL_PR][row_idx] = 0;
	batch->dropped_tag_count++;
}

static enum tl_err
own_row(const struct tl_caller *caller, struct tl_batch *batch, uint32_t row_idx, uint32_t own_key,
	uint32_t own_tags)
{
	enum tl_err err = tl_batch_set(batch, TL_COL_KEY, row_idx, own_key);

	if (!err)
		err = tl_batch_set(batch, TL_COL_TAGS, row_idx, own_tags);
	drop_pr(batch, row_idx);
	move_id(caller->member_no, batch->id[row_idx]);
	return err;
}

enum tl_err
own_rows(const struct tl_caller *caller, struct tl_batch *batch)
{
	uint32_t *kept = tl_arena_array(batch->arena, batch->row_count, sizeof(*kept));
	struct tl_slice key_id = tl_arena_copy(batch->arena, tl_slice_str(caller->key_id));
	uint32_t kept_count = 0, own_key, own_tags;
	enum tl_err err;

	if (kept == NULL || key_id.data == NULL)
		return TL_ENOMEM;
	err = tl_batch_symbol(batch, TL_NAME_KEY, key_id, &own_key);
	if (!err)
		err = tl_batch_symbol(batch, TL_NAME_TAGS, tl_slice_str(TL_TAGS_CLIENT), &own_tags);
	for (uint32_t i = 0; i < batch->row_count && !err; i++) {
		enum tl_column claim = find_claim(batch, i, own_key);

		if (claim != TL_COL_COUNT) {
			rejects_add(batch, i, TL_EFORBIDDEN, claim, 0);
			continue;
		}
		err = own_row(caller, batch, i, own_key, own_tags);
		kept[kept_count++] = i;
	}
	if (!err)
		rejects_keep(batch, kept, kept_count);
	return err;
}
