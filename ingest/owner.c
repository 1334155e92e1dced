/*
 * Whose session a link under an agent's key names. The session's row is derived, so it lags by the
 * rollup's milliseconds: a session of which nothing is folded yet is anybody's, which a link that
 * comes before its session's usage needs.
 */
#include "ingest/own.h"
#include "ingest/writer.h"
#include "schema/store/value.h"

/* *member_no_out: of the session's last request, 0 when there is none. */
static enum tl_err
find_owner(struct commit *commit, uint32_t org, struct tl_slice name, uint32_t *member_no_out,
	struct tl_why *why)
{
	struct tl_session_row row;
	struct tl_key key;
	uint32_t session;
	enum tl_err err;

	*member_no_out = 0;
	err = tl_dict_find(commit->store, NULL, org, TL_NAME_SESSION, name, &session, why);
	if (!err) {
		key = tl_key_session(org, session);
		err = tl_store_get(commit->store, NULL, TL_FAMILY_SESSION, tl_key_slice(&key),
			&commit->buf, why);
	}
	if (err)
		return err == TL_ENOT_FOUND ? TL_OK : err;
	err = tl_session_row_decode(tl_buf_slice(&commit->buf), &commit->group.arena, &row);
	if (!err)
		*member_no_out = row.member;
	return err;
}

enum tl_err
owner_check(struct commit *commit, struct admitted *admitted, struct tl_why *why)
{
	const struct tl_caller *caller = &admitted->caller;
	struct tl_batch *batch = &admitted->batch;
	uint32_t kept_count = 0, owner;
	uint32_t *kept;
	enum tl_err err = TL_OK;

	if (!own_is(caller) || batch->column[TL_COL_LINK_OP] == NULL)
		return TL_OK;
	kept = tl_arena_array(&commit->group.arena, batch->row_count, sizeof(*kept));
	if (kept == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < batch->row_count && !err; i++) {
		uint32_t session = (uint32_t)tl_batch_get(batch, TL_COL_SESSION, i);

		owner = 0;
		if (tl_batch_get(batch, TL_COL_KIND, i) == TL_KIND_LINK)
			err = find_owner(
				commit, caller->org_no, batch->symbols[session].text, &owner, why);
		if (owner != 0 && owner != caller->member_no)
			admit_reject(batch, i, TL_EFORBIDDEN, TL_COL_SESSION, session);
		else
			kept[kept_count++] = i;
	}
	if (!err)
		admit_keep(batch, kept, kept_count);
	return err;
}
