/*
 * Whose session an event under an agent's key names. A session is its last request's member's; who
 * could name another's would become its owner and could link it, so usage loses such a session and
 * a link is refused. The session's row is derived, so it lags by the rollup's milliseconds: a
 * session of which no request is folded yet is anybody's, which a link that comes before its
 * session's usage needs.
 */
#include "ingest/own.h"
#include "ingest/rejects.h"
#include "ingest/writer.h"
#include "schema/store/value.h"

/* What is known of a session of the batch, by its symbol. */
enum standing {
	STANDING_UNASKED,
	STANDING_OWN, /* or nobody's yet */
	STANDING_FOREIGN,
};

static enum tl_err
find_standing(struct commit *commit, const struct tl_caller *caller, struct tl_slice name,
	enum standing *standing_out, struct tl_why *why)
{
	struct tl_session_row row;
	struct tl_key key;
	uint32_t session;
	enum tl_err err;

	*standing_out = STANDING_OWN;
	err = tl_dict_find(
		commit->store, NULL, caller->org_no, TL_NAME_SESSION, name, &session, why);
	if (!err) {
		key = tl_key_session(caller->org_no, session);
		err = tl_store_get(commit->store, NULL, TL_FAMILY_SESSION, tl_key_slice(&key),
			&commit->buf, why);
	}
	if (err)
		return err == TL_ENOT_FOUND ? TL_OK : err;
	err = tl_session_row_decode(tl_buf_slice(&commit->buf), &commit->group.arena, &row);
	if (!err && row.last_ms != INT64_MIN && row.member != caller->member_no)
		*standing_out = STANDING_FOREIGN;
	return err;
}

/* Whether the row stays. */
static bool
settle_foreign(struct tl_batch *batch, uint32_t row_idx)
{
	uint32_t session = (uint32_t)batch->column[TL_COL_SESSION][row_idx];

	if (tl_batch_get(batch, TL_COL_KIND, row_idx) == TL_KIND_LINK) {
		rejects_add(batch, row_idx, TL_EFORBIDDEN, TL_COL_SESSION, session);
		return false;
	}
	batch->column[TL_COL_SESSION][row_idx] = 0;
	batch->dropped_tag_count++;
	return true;
}

static enum tl_err
check_rows(struct commit *commit, const struct tl_caller *caller, struct tl_batch *batch,
	struct tl_why *why)
{
	struct tl_arena *arena = &commit->group.arena;
	enum standing *standings = tl_arena_array(arena, batch->symbol_count, sizeof(*standings));
	uint32_t *kept = tl_arena_array(arena, batch->row_count, sizeof(*kept));
	uint32_t kept_count = 0;
	enum tl_err err = TL_OK;

	if (standings == NULL || kept == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < batch->row_count && !err; i++) {
		uint32_t session = (uint32_t)batch->column[TL_COL_SESSION][i];

		if (session != 0 && standings[session] == STANDING_UNASKED)
			err = find_standing(commit, caller, batch->symbols[session].text,
				&standings[session], why);
		if (session == 0 || standings[session] != STANDING_FOREIGN ||
			settle_foreign(batch, i))
			kept[kept_count++] = i;
	}
	if (!err)
		rejects_keep(batch, kept, kept_count);
	return err;
}

enum tl_err
owner_check(struct commit *commit, struct admitted *admitted, struct tl_why *why)
{
	if (!own_is(&admitted->caller) || admitted->batch.column[TL_COL_SESSION] == NULL)
		return TL_OK;
	return check_rows(commit, &admitted->caller, &admitted->batch, why);
}
