/*
 * A name has a row of its own, which finds its id; the names of one filling of a write, of an org
 * and kind, share a row that is found by the first id:
 *
 *   'n' name -> id        'i' first id -> name, name, ...
 *
 * The last row of the second sort so tells how many there are.
 *
 * A name that was made lives only in the write until that is in the store, so what memory knows of
 * it must not be forgotten before: the store would not find it and a second id would be made. Two
 * fillings may be on their way, the present one and the one before. Names are kept in two maps:
 * young has what was made or used since the last turn, old what was in young before it. When a
 * filling begins and young is full, old is forgotten: what was made in it was made before the turn
 * before, which is two fillings ago at least.
 */
#include "schema/store/dict.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "schema/base/map.h"
#include "schema/store/dict_row.h"
#include "schema/store/key.h"
#include "schema/store/store_private.h"

/* What a reader of one name reads: about 240 UUIDs. */
#define ROW_BYTES 4096u

/* A name of the present filling; its text lies in made_names. */
struct made {
	uint32_t org;
	uint32_t kind;
	uint32_t id;
	uint32_t name_bytes;
	size_t name_at;
};

struct tl_dict {
	struct tl_store *store;
	struct tl_map *young; /* key of the name -> id */
	struct tl_map *old;
	size_t young_count_max;
	struct tl_map *counts; /* key of id 0 -> how many the org has of the kind */
	uint64_t write_no;     /* the filling that names were last made for */
	struct made *made;     /* since the last put */
	size_t made_count, made_capacity;
	struct tl_buf made_names;
	struct tl_buf row;
};

enum tl_err
tl_dict_new(struct tl_store *store, size_t cache_count_max, struct tl_dict **dict_out)
{
	struct tl_dict *dict = calloc(1, sizeof(*dict));
	enum tl_err err;

	if (dict == NULL)
		return TL_ENOMEM;
	dict->store = store;
	dict->young_count_max = cache_count_max / 2;
	tl_buf_init(&dict->made_names, 0);
	tl_buf_init(&dict->row, 0);
	err = tl_map_new(SIZE_MAX, &dict->young);
	if (!err)
		err = tl_map_new(SIZE_MAX, &dict->old);
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
	tl_map_free(dict->old);
	tl_map_free(dict->young);
	tl_buf_fini(&dict->made_names);
	tl_buf_fini(&dict->row);
	free(dict->made);
	free(dict);
}

static enum tl_err
corrupt_fail(struct tl_slice value, struct tl_why *why)
{
	return tl_fail(why, TL_ESTORAGE_CORRUPT, "a dictionary row of %zu bytes", value.bytes);
}

/* The id under a name's key. */
static enum tl_err
get_id(struct tl_store *store, const struct tl_view *view, const struct tl_key *key,
	struct tl_buf *value, uint32_t *id_out, struct tl_why *why)
{
	enum tl_err err;

	err = tl_store_get(store, view, TL_FAMILY_DICT, tl_key_slice(key), value, why);
	if (err)
		return err;
	if (value->bytes != 4 || tl_get_be32(value->data) == 0)
		return corrupt_fail(tl_buf_slice(value), why);
	*id_out = tl_get_be32(value->data);
	return TL_OK;
}

/* The row that has the id, if any has: the last at or below it. */
static enum tl_err
get_row(struct tl_store *store, const struct tl_view *view, uint32_t org, enum tl_name_kind kind,
	uint32_t id, uint32_t *first_out, struct tl_buf *row, struct tl_why *why)
{
	struct tl_key at = tl_key_dict_id(org, kind, id);
	size_t prefix_bytes = at.bytes - 4;
	struct tl_buf key;
	enum tl_err err;

	tl_buf_init(&key, 0);
	err = tl_store_floor(store, view, TL_FAMILY_DICT, tl_key_slice(&at), &key, row, why);
	if (!err && (key.bytes != at.bytes || memcmp(key.data, at.data, prefix_bytes) != 0))
		err = TL_ENOT_FOUND;
	if (!err)
		*first_out = tl_get_be32(key.data + prefix_bytes);
	tl_buf_fini(&key);
	return err;
}

static enum tl_err
read_count(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, uint32_t *count_out,
	struct tl_why *why)
{
	char text[TL_UUID_TEXT_BYTES + 1];
	struct tl_slice rest, name;
	uint32_t first;
	uint64_t end;
	enum tl_err err;

	err = get_row(dict->store, NULL, org, kind, UINT32_MAX, &first, &dict->row, why);
	if (err == TL_ENOT_FOUND) {
		*count_out = 0;
		return TL_OK;
	}
	if (err)
		return err;
	end = first;
	rest = tl_buf_slice(&dict->row);
	while (!(err = tl_dict_row_next(&rest, text, &name)))
		end++;
	if (err != TL_EEND || first == 0 || end == first || end - 1 > UINT32_MAX)
		return corrupt_fail(tl_buf_slice(&dict->row), why);
	*count_out = (uint32_t)(end - 1);
	return TL_OK;
}

enum tl_err
tl_dict_count(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, uint32_t *count_out,
	struct tl_why *why)
{
	struct tl_key key = tl_key_dict_id(org, kind, 0);
	uint64_t known;
	uint32_t count = 0;
	enum tl_err err;

	if (tl_map_get(dict->counts, tl_key_slice(&key), &known)) {
		*count_out = (uint32_t)known;
		return TL_OK;
	}
	err = read_count(dict, org, kind, &count, why);
	if (err)
		return err;
	err = tl_map_put(dict->counts, tl_key_slice(&key), count);
	if (err)
		return tl_fail(why, err, "no memory for a dictionary's count");
	*count_out = count;
	return TL_OK;
}

/* Note a name for the rows by id. */
static enum tl_err
note_made(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, uint32_t id,
	struct tl_slice name)
{
	if (dict->made_count == dict->made_capacity) {
		size_t capacity = dict->made_capacity * 2 + 64;
		struct made *made = realloc(dict->made, capacity * sizeof(*made));

		if (made == NULL)
			return TL_ENOMEM;
		dict->made = made;
		dict->made_capacity = capacity;
	}
	dict->made[dict->made_count++] = (struct made){
		.org = org,
		.kind = kind,
		.id = id,
		.name_bytes = (uint32_t)name.bytes,
		.name_at = dict->made_names.bytes,
	};
	tl_buf_put_slice(&dict->made_names, name);
	return dict->made_names.err;
}

static enum tl_err
make_id(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, struct tl_slice name,
	const struct tl_key *name_key, struct tl_write *write, uint32_t *id_out, struct tl_why *why)
{
	struct tl_key count_key = tl_key_dict_id(org, kind, 0);
	uint8_t value[4];
	uint32_t id;
	enum tl_err err;

	err = tl_dict_count(dict, org, kind, &id, why);
	if (err)
		return err;
	if (id == UINT32_MAX)
		return tl_fail(
			why, TL_EFULL, "org %" PRIu32 " has no id left for kind %u", org, kind);
	id++;
	err = tl_map_put(dict->young, tl_key_slice(name_key), id);
	if (!err)
		err = tl_map_put(dict->counts, tl_key_slice(&count_key), id);
	if (!err)
		err = note_made(dict, org, kind, id, name);
	if (err)
		return tl_fail(why, err, "no memory for a name");
	tl_put_be32(value, id);
	tl_write_put(
		write, TL_FAMILY_DICT, tl_key_slice(name_key), tl_slice_of(value, sizeof(value)));
	*id_out = id;
	return TL_OK;
}

/* Another filling than before: what was made before the last one is in the store now. */
static void
begin_filling(struct tl_dict *dict, uint64_t write_no)
{
	struct tl_map *turned = dict->old;

	assert(dict->made_count == 0);
	dict->write_no = write_no;
	if (tl_map_count(dict->young) < dict->young_count_max)
		return;
	tl_map_clear(turned);
	dict->old = dict->young;
	dict->young = turned;
}

/* The id of a name that memory or the store has. */
static enum tl_err
known_id(struct tl_dict *dict, const struct tl_key *key, uint32_t *id_out, struct tl_why *why)
{
	uint64_t known;
	uint32_t id;
	enum tl_err err = TL_OK;

	if (tl_map_get(dict->young, tl_key_slice(key), &known)) {
		*id_out = (uint32_t)known;
		return TL_OK;
	}
	if (tl_map_get(dict->old, tl_key_slice(key), &known))
		id = (uint32_t)known;
	else
		err = get_id(dict->store, NULL, key, &dict->row, &id, why);
	if (err)
		return err;
	err = tl_map_put(dict->young, tl_key_slice(key), id);
	if (err)
		return tl_fail(why, err, "no memory for a name");
	*id_out = id;
	return TL_OK;
}

enum tl_err
tl_dict_known(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, struct tl_slice name,
	uint32_t *id_out, struct tl_why *why)
{
	struct tl_key key = tl_key_dict_name(org, kind, name);

	return known_id(dict, &key, id_out, why);
}

enum tl_err
tl_dict_id(struct tl_dict *dict, uint32_t org, enum tl_name_kind kind, struct tl_slice name,
	struct tl_write *write, uint32_t *id_out, struct tl_why *why)
{
	struct tl_key key = tl_key_dict_name(org, kind, name);
	enum tl_err err;

	if (write->no != dict->write_no)
		begin_filling(dict, write->no);
	err = known_id(dict, &key, id_out, why);
	if (err == TL_ENOT_FOUND)
		err = make_id(dict, org, kind, name, &key, write, id_out, why);
	return err;
}

static int
compare_made(const void *a_arg, const void *b_arg)
{
	const struct made *a = a_arg;
	const struct made *b = b_arg;

	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

/* Names from made[first] on that fill a row; returns the first that is of another row. */
static size_t
put_row(struct tl_dict *dict, struct tl_write *write, size_t first)
{
	const struct made *head = &dict->made[first];
	struct tl_key key = tl_key_dict_id(head->org, (enum tl_name_kind)head->kind, head->id);
	size_t i = first;

	tl_buf_reset(&dict->row);
	do {
		const struct made *made = &dict->made[i++];

		tl_dict_row_put(&dict->row,
			tl_slice_of(dict->made_names.data + made->name_at, made->name_bytes));
	} while (i < dict->made_count && dict->made[i].org == head->org &&
		 dict->made[i].kind == head->kind && dict->row.bytes < ROW_BYTES);
	tl_write_put(write, TL_FAMILY_DICT, tl_key_slice(&key), tl_buf_slice(&dict->row));
	return i;
}

enum tl_err
tl_dict_put(struct tl_dict *dict, struct tl_write *write)
{
	if (dict->made_count == 0)
		return TL_OK;
	assert(write->no == dict->write_no);
	qsort(dict->made, dict->made_count, sizeof(*dict->made), compare_made);
	for (size_t i = 0; i < dict->made_count;)
		i = put_row(dict, write, i);
	dict->made_count = 0;
	tl_buf_reset(&dict->made_names);
	return dict->row.err;
}

/* The name with skip_count names before it in the row, into buf. */
static enum tl_err
take_name(struct tl_slice row, uint32_t skip_count, struct tl_buf *buf, struct tl_why *why)
{
	char text[TL_UUID_TEXT_BYTES + 1];
	struct tl_slice rest = row;
	struct tl_slice name;

	for (uint64_t i = 0; i <= skip_count; i++) {
		enum tl_err err = tl_dict_row_next(&rest, text, &name);

		if (err)
			return err == TL_EEND ? TL_ENOT_FOUND : corrupt_fail(row, why);
	}
	tl_buf_reset(buf);
	tl_buf_put_slice(buf, name);
	return buf->err;
}

enum tl_err
tl_dict_name(struct tl_store *store, const struct tl_view *view, uint32_t org,
	enum tl_name_kind kind, uint32_t id, struct tl_buf *buf, struct tl_why *why)
{
	struct tl_buf row;
	uint32_t first;
	enum tl_err err;

	tl_buf_init(&row, 0);
	err = get_row(store, view, org, kind, id, &first, &row, why);
	if (!err)
		err = take_name(tl_buf_slice(&row), id - first, buf, why);
	tl_buf_fini(&row);
	return err;
}

enum tl_err
tl_dict_find(struct tl_store *store, const struct tl_view *view, uint32_t org,
	enum tl_name_kind kind, struct tl_slice name, uint32_t *id_out, struct tl_why *why)
{
	struct tl_key key = tl_key_dict_name(org, kind, name);
	struct tl_buf value;
	enum tl_err err;

	tl_buf_init(&value, 0);
	err = get_id(store, view, &key, &value, id_out, why);
	tl_buf_fini(&value);
	return err;
}
