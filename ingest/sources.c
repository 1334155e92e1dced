#include "ingest/sources.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/map.h"
#include "schema/model/bucket.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

/* Rows kept from group to group, 700 bytes each. */
#define SOURCES_KEPT_MAX 4096u
#define KEY_ID_BYTES_MAX 64u

struct source {
	uint32_t org;
	uint32_t source; /* dictionary id of the key id */
	bool is_used;	 /* since begin */
	struct tl_intake_row row;
};

/* Orgs are dense from 1: charged_nusd[org] of those seen so far. */
struct charges {
	int64_t *nusd;
	uint32_t org_count;
};

struct sources {
	struct tl_store *store;
	struct charges charges;
	int64_t day_ms;
	struct tl_map *map; /* (org, key id) -> index in rows */
	struct source **rows;
	size_t row_count;
	size_t row_capacity;
	struct tl_buf buf;
};

/* Room for the org; NULL when out of memory. */
static int64_t *
charge_of(struct charges *charges, uint32_t org)
{
	uint32_t count = org + 64;
	int64_t *nusd;

	if (org < charges->org_count)
		return &charges->nusd[org];
	nusd = realloc(charges->nusd, count * sizeof(*nusd));
	if (nusd == NULL)
		return NULL;
	memset(nusd + charges->org_count, 0, (count - charges->org_count) * sizeof(*nusd));
	charges->nusd = nusd;
	charges->org_count = count;
	return &nusd[org];
}

bool
sources_charge(struct sources *sources, uint32_t org, int64_t money_nusd)
{
	int64_t *charged = charge_of(&sources->charges, org);

	if (charged == NULL || money_nusd > SOURCES_MONEY_MAX - *charged)
		return false;
	*charged += money_nusd;
	return true;
}

static enum tl_err
load_charge(struct sources *sources, struct tl_slice key, struct tl_slice value)
{
	struct tl_intake_row row;
	uint32_t org, source;
	int64_t day_ms;
	enum tl_err err = tl_intake_row_decode(value, &row);

	if (err)
		return err;
	if (!tl_key_intake_parse(key, &org, &day_ms, &source) ||
		!sources_charge(sources, org, row.money_nusd))
		return TL_ESTORAGE_CORRUPT;
	return TL_OK;
}

static enum tl_err
load_charges(struct sources *sources, struct tl_why *why)
{
	struct tl_slice everything = tl_slice_of(NULL, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err;

	err = tl_scan_open(
		sources->store, NULL, TL_FAMILY_INTAKE, everything, everything, &scan, why);
	while (!err) {
		err = tl_scan_next(scan, &key, &value, why);
		if (!err)
			err = load_charge(sources, key, value);
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

enum tl_err
sources_new(struct tl_store *store, struct sources **sources_out, struct tl_why *why)
{
	struct sources *sources = calloc(1, sizeof(*sources));
	enum tl_err err;

	if (sources == NULL)
		return TL_ENOMEM;
	sources->store = store;
	sources->day_ms = INT64_MIN;
	tl_buf_init(&sources->buf, 0);
	/* One group cannot ask for more than it has rows. */
	err = tl_map_new(SOURCES_KEPT_MAX + TL_GROUP_EVENTS_MAX, &sources->map);
	if (!err)
		err = load_charges(sources, why);
	if (err) {
		sources_free(sources);
		return err;
	}
	*sources_out = sources;
	return TL_OK;
}

static void
forget(struct sources *sources)
{
	for (size_t i = 0; i < sources->row_count; i++)
		free(sources->rows[i]);
	sources->row_count = 0;
	if (sources->map != NULL)
		tl_map_clear(sources->map);
}

void
sources_free(struct sources *sources)
{
	if (sources == NULL)
		return;
	forget(sources);
	tl_map_free(sources->map);
	free(sources->rows);
	free(sources->charges.nusd);
	tl_buf_fini(&sources->buf);
	free(sources);
}

void
sources_begin(struct sources *sources, int64_t received_ms)
{
	int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, received_ms);

	if (day_ms != sources->day_ms || sources->row_count > SOURCES_KEPT_MAX)
		forget(sources);
	sources->day_ms = day_ms;
	for (size_t i = 0; i < sources->row_count; i++)
		sources->rows[i]->is_used = false;
}

static enum tl_err
load(struct sources *sources, struct source *source, struct tl_why *why)
{
	struct tl_key key = tl_key_intake(source->org, sources->day_ms, source->source);
	enum tl_err err;

	err = tl_store_get(
		sources->store, NULL, TL_FAMILY_INTAKE, tl_key_slice(&key), &sources->buf, why);
	if (err == TL_ENOT_FOUND)
		return TL_OK;
	if (!err)
		err = tl_intake_row_decode(tl_buf_slice(&sources->buf), &source->row);
	return err;
}

/* Room for one more, so that what follows cannot half succeed. */
static enum tl_err
make_room(struct sources *sources)
{
	size_t capacity = sources->row_capacity > 0 ? sources->row_capacity * 2 : 64;
	struct source **rows;

	if (sources->row_count < sources->row_capacity)
		return TL_OK;
	rows = realloc(sources->rows, capacity * sizeof(*rows));
	if (rows == NULL)
		return TL_ENOMEM;
	sources->rows = rows;
	sources->row_capacity = capacity;
	return TL_OK;
}

static enum tl_err
add(struct sources *sources, struct tl_slice map_key, uint32_t org, struct tl_slice key_id,
	struct tl_dict *dict, struct tl_write *write, struct tl_why *why)
{
	struct source *source = calloc(1, sizeof(*source));
	enum tl_err err = TL_ENOMEM;

	if (source == NULL)
		goto out;
	source->org = org;
	err = make_room(sources);
	if (!err)
		err = tl_dict_id(dict, org, TL_NAME_TEXT, key_id, write, &source->source, why);
	if (!err)
		err = load(sources, source, why);
	if (!err)
		err = tl_map_put(sources->map, map_key, sources->row_count);
	if (err)
		goto out;
	sources->rows[sources->row_count++] = source;
	source = NULL;

out:
	free(source);
	return err;
}

enum tl_err
sources_row(struct sources *sources, uint32_t org, const char *key_id, struct tl_dict *dict,
	struct tl_write *write, struct tl_intake_row **row_out, struct tl_why *why)
{
	uint8_t key[4 + KEY_ID_BYTES_MAX];
	struct tl_slice id = tl_slice_str(key_id);
	struct tl_slice both = tl_slice_of(key, 4 + id.bytes);
	uint64_t at;
	enum tl_err err;

	assert(id.bytes <= KEY_ID_BYTES_MAX);
	tl_put_be32(key, org);
	memcpy(key + 4, id.data, id.bytes);
	if (!tl_map_get(sources->map, both, &at)) {
		err = add(sources, both, org, id, dict, write, why);
		if (err)
			return err;
		at = sources->row_count - 1;
	}
	sources->rows[at]->is_used = true;
	*row_out = &sources->rows[at]->row;
	return TL_OK;
}

enum tl_err
sources_put(struct sources *sources, struct tl_write *write)
{
	for (size_t i = 0; i < sources->row_count; i++) {
		struct source *source = sources->rows[i];
		struct tl_key key = tl_key_intake(source->org, sources->day_ms, source->source);

		if (!source->is_used)
			continue;
		tl_buf_reset(&sources->buf);
		tl_intake_row_encode(&source->row, &sources->buf);
		if (sources->buf.err)
			return sources->buf.err;
		tl_write_put(
			write, TL_FAMILY_INTAKE, tl_key_slice(&key), tl_buf_slice(&sources->buf));
	}
	return TL_OK;
}
