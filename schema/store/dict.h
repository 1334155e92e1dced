/*
 * Names <-> dense ids, per org and kind, from 1 in order of first use. The writer makes ids and
 * puts their rows into the write that needs them; readers translate back through a view.
 */
#ifndef TL_STORE_DICT_H
#define TL_STORE_DICT_H

#include "schema/model/event.h"
#include "schema/store/view.h"
#include "schema/store/write.h"

struct tl_dict;

/*
 * Writer thread only. Keeps about cache_count_max names in memory, those used last; the store has
 * all.
 */
TL_MUST enum tl_err tl_dict_new(
	struct tl_store *store, size_t cache_count_max, struct tl_dict **dict_out);
void tl_dict_free(struct tl_dict *dict);

/*
 * The id of a name, made when new: it goes into write, together with what tl_dict_put puts there
 * when the write is complete. Writes get names one after the other: when one gets its first, that
 * before it is complete, perhaps on its way, and that before that is in the store. After a failed
 * commit or a reset of a write with names the dictionary must be thrown away: it knows names the
 * store does not.
 */
TL_MUST enum tl_err tl_dict_id(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind,
	struct tl_slice name, struct tl_write *write, uint32_t *id_out, struct tl_why *why);

/* The names made since the last put, by id. Once for each write that got names, before its commit.
 */
TL_MUST enum tl_err tl_dict_put(struct tl_dict *dict, struct tl_write *write);

/* The id of a name that was made, also in a write that is not in the store. TL_ENOT_FOUND. */
TL_MUST enum tl_err tl_dict_known(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind,
	struct tl_slice name, uint32_t *id_out, struct tl_why *why);

/* How many names of a kind the org has. */
TL_MUST enum tl_err tl_dict_count(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind,
	uint32_t *count_out, struct tl_why *why);

/* Readers. The name replaces buf's content. TL_ENOT_FOUND for an id never given out. */
TL_MUST enum tl_err tl_dict_name(struct tl_store *store, const struct tl_view *view, uint32_t org,
	enum tl_name_kind kind, uint32_t id, struct tl_buf *buf, struct tl_why *why);

/* The id of a name that is stored, TL_ENOT_FOUND otherwise. */
TL_MUST enum tl_err tl_dict_find(struct tl_store *store, const struct tl_view *view, uint32_t org,
	enum tl_name_kind kind, struct tl_slice name, uint32_t *id_out, struct tl_why *why);

#endif
