/*
 * A name that was made lives only in the write until that commits, so what memory knows of it must
 * not be forgotten before: the store would not find it and a second id would be made. The names
 * known from the store (cache) are forgotten only when another filling of a write begins, which
 * says that the one before was committed; what finds no room until then is kept beside, and the
 * cache starts again with the next filling.
 *
 * So one write is filled and committed before the next, and a filling that is thrown away with new
 * names in it (tl_write_reset, a failed commit) ends the dictionary too.
 */
#include "schema/store/dict.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "schema/base/map.h"
#include "schema/store/key.h"
#include "schema/store/store_private.h"

struct tl_dict {
	struct tl_store *store;
	struct tl_map *cache;	 /* key of the name -> id */
	struct tl_map *overflow; /* of the present filling, when the cache was full */
	struct tl_map *counts;	 /* key of the count -> count */
	uint64_t write_no;	 /* the filling that names were last made for */
	struct tl_buf value;
};

enum tl_err
tl_dict_new(struct tl_store *store, size_t cache_count_max, struct tl_dict **dict_out)
{
	struct tl_dict *dict = calloc(1, sizeof(*dict));
	enum tl_err err;

	if (dict == NULL)
		return TL_ENOMEM;
	dict->store = store;
	tl_buf_init(&dict->value, 0);
	err = tl_map_new(cache_count_max, &dict->cache);
	if (!err)
		err = tl_map_new(SIZE_MAX, &dict->overflow);
	if (!err)
		err = tl_map_new(SIZE_MAX, &dict->counts);
	if (err) {
		tl_dict_free(dict);
		return err;
	}
	*dict_out = dict;
	return TL_OK;
}

void
tl_dict_free(struct tl_dict *dict)
{
	if (dict == NULL)
		return;
	tl_map_free(dict->counts);
	tl_map_free(dict->overflow);
	tl_map_free(dict->cache);
	tl_buf_fini(&dict->value);
	free(dict);
}

/* An id or a count as stored. */
static enum tl_err
get_number(struct tl_store *store, const struct tl_view *view, const struct tl_key *key,
	struct tl_buf *value, uint32_t *number_out, struct tl_why *why)
{
	enum tl_err err;

	err = tl_store_get(store, view, TL_FAMILY_DICT, tl_key_slice(key), value, why);
	if (err)
		return err;
	if (value->bytes != 4 || tl_get_be32(value->data) == 0)
		return tl_fail(
			why, TL_ESTORAGE_CORRUPT, "a dictionary row of %zu bytes", value->bytes);
	*number_out = tl_get_be32(value->data);
	return TL_OK;
}

static enum tl_err
count_of(struct tl_dict *dict, const struct tl_key *key, uint32_t *count_out, struct tl_why *why)
{
	uint64_t known;
	uint32_t count = 0;
	enum tl_err err;

	if (tl_map_get(dict->counts, tl_key_slice(key), &known)) {
		*count_out = (uint32_t)known;
		return TL_OK;
	}
	err = get_number(dict->store, NULL, key, &dict->value, &count, why);
	if (err && err != TL_ENOT_FOUND)
		return err;
	err = tl_map_put(dict->counts, tl_key_slice(key), count);
	if (err)
		return tl_fail(why, err, "no memory for a dictionary's count");
	*count_out = count;
	return TL_OK;
}

static void
put_number(struct tl_write *write, const struct tl_key *key, uint32_t number)
{
	uint8_t value[4];

	tl_put_be32(value, number);
	tl_write_put(write, TL_FAMILY_DICT, tl_key_slice(key), tl_slice_of(value, sizeof(value)));
}

static enum tl_err
keep_name(struct tl_dict *dict, const struct tl_key *key, uint32_t id)
{
	enum tl_err err = tl_map_put(dict->cache, tl_key_slice(key), id);

	if (err != TL_EFULL)
		return err;
	return tl_map_put(dict->overflow, tl_key_slice(key), id);
}

static enum tl_err
make_id(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, struct tl_slice name,
	const struct tl_key *name_key, struct tl_write *write, uint32_t *id_out, struct tl_why *why)
{
	struct tl_key count_key = tl_key_dict_count(org, kind);
	struct tl_key id_key;
	uint32_t count;
	enum tl_err err;

	err = count_of(dict, &count_key, &count, why);
	if (err)
		return err;
	if (count == UINT32_MAX)
		return tl_fail(
			why, TL_EFULL, "org %" PRIu32 " has no id left for kind %u", org, kind);
	count++;
	err = keep_name(dict, name_key, count);
	if (!err)
		err = tl_map_put(dict->counts, tl_key_slice(&count_key), count);
	if (err)
		return tl_fail(why, err, "no memory for a name");
	id_key = tl_key_dict_id(org, kind, count);
	put_number(write, name_key, count);
	tl_write_put(write, TL_FAMILY_DICT, tl_key_slice(&id_key), name);
	put_number(write, &count_key, count);
	*id_out = count;
	return TL_OK;
}

/* Another filling than before: what the last one made is in the store now. */
static void
begin_filling(struct tl_dict *dict, uint64_t write_no)
{
	dict->write_no = write_no;
	if (tl_map_count(dict->overflow) == 0)
		return;
	tl_map_clear(dict->overflow);
	tl_map_clear(dict->cache);
}

enum tl_err
tl_dict_id(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, struct tl_slice name,
	struct tl_write *write, uint32_t *id_out, struct tl_why *why)
{
	struct tl_key key = tl_key_dict_name(org, kind, name);
	uint64_t known;
	uint32_t id;
	enum tl_err err;

	if (write->no != dict->write_no)
		begin_filling(dict, write->no);
	if (tl_map_get(dict->cache, tl_key_slice(&key), &known) ||
		tl_map_get(dict->overflow, tl_key_slice(&key), &known)) {
		*id_out = (uint32_t)known;
		return TL_OK;
	}
	err = get_number(dict->store, NULL, &key, &dict->value, &id, why);
	if (err == TL_ENOT_FOUND)
		return make_id(dict, org, kind, name, &key, write, id_out, why);
	if (err)
		return err;
	err = keep_name(dict, &key, id);
	if (err)
		return tl_fail(why, err, "no memory for a name");
	*id_out = id;
	return TL_OK;
}

enum tl_err
tl_dict_count(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, uint32_t *count_out,
	struct tl_why *why)
{
	struct tl_key key = tl_key_dict_count(org, kind);

	return count_of(dict, &key, count_out, why);
}

enum tl_err
tl_dict_name(struct tl_store *store, const struct tl_view *view, uint32_t org,
	enum tl_name_kind kind, uint32_t id, struct tl_buf *buf, struct tl_why *why)
{
	struct tl_key key = tl_key_dict_id(org, kind, id);

	return tl_store_get(store, view, TL_FAMILY_DICT, tl_key_slice(&key), buf, why);
}

enum tl_err
tl_dict_find(struct tl_store *store, const struct tl_view *view, uint32_t org,
	enum tl_name_kind kind, struct tl_slice name, uint32_t *id_out, struct tl_why *why)
{
	struct tl_key key = tl_key_dict_name(org, kind, name);
	struct tl_buf value;
	enum tl_err err;

	tl_buf_init(&value, 0);
	err = get_number(store, view, &key, &value, id_out, why);
	tl_buf_fini(&value);
	return err;
}
