/* Lives: raw, and for the days that have expired their 1d cells, which stay for ever. */
#include <inttypes.h>

#include "rollup/audit_parts.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

static uint64_t
hash_life(uint32_t org, enum tl_dim dim, uint32_t entity)
{
	return index_hash((uint64_t)dim << 32 | org, entity);
}

static struct audit_life *
life_of(const struct audit *audit, uint32_t org, enum tl_dim dim, uint32_t entity)
{
	uint64_t hash = hash_life(org, dim, entity);
	uint64_t at = hash;
	struct audit_life *life;

	while ((life = index_next(&audit->lives, hash, &at)) != NULL) {
		if (life->org == org && life->dim == dim && life->entity == entity)
			break;
	}
	return life;
}

static enum tl_err
add(struct audit *audit, uint32_t org, enum tl_dim dim, uint32_t entity,
	const struct tl_totals *totals, int64_t first_ms, int64_t last_ms)
{
	struct audit_life *life;

	if (entity == 0)
		return TL_OK;
	life = life_of(audit, org, dim, entity);
	if (life == NULL) {
		enum tl_err err;

		life = tl_arena_alloc(&audit->arena, sizeof(*life));
		if (life == NULL)
			return TL_ENOMEM;
		*life = (struct audit_life){.next = audit->life_list,
			.org = org,
			.dim = dim,
			.entity = entity,
			.life = {.first_ms = INT64_MAX, .last_ms = INT64_MIN}};
		audit->life_list = life;
		err = index_put(&audit->lives, &audit->arena, hash_life(org, dim, entity), life);
		if (err)
			return err;
	}
	if (first_ms < life->life.first_ms)
		life->life.first_ms = first_ms;
	if (last_ms > life->life.last_ms)
		life->life.last_ms = last_ms;
	return tl_totals_add(&life->life.totals, totals, 1);
}

enum tl_err
audit_life_add(struct audit *audit, uint32_t org, uint32_t member, uint32_t agent,
	const struct tl_totals *totals, int64_t first_ms, int64_t last_ms)
{
	enum tl_err err = add(audit, org, TL_DIM_MEMBER, member, totals, first_ms, last_ms);

	return err ? err : add(audit, org, TL_DIM_AGENT, agent, totals, first_ms, last_ms);
}

static enum tl_err
add_expired_day(struct audit *audit, struct tl_slice key, struct tl_slice value, struct tl_why *why)
{
	struct tl_page_place place;
	struct tl_page page;
	enum tl_err err;

	if (!tl_key_page_parse(key, TL_SPAN_1D, &place))
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "cell 1d: a wrong key");
	if (place.bucket_ms >= audit->cut.day_ms)
		return TL_OK;
	tl_arena_reset(&audit->day_arena);
	err = tl_page_decode(value, TL_SPAN_1D, place.bucket_ms, &audit->day_arena, &page);
	if (err == TL_ESTORAGE_CORRUPT) {
		audit_differs(audit, "cell 1d org %u bucket %" PRId64 " part %u is damaged",
			place.org, place.bucket_ms, place.part);
		return TL_OK;
	}
	for (uint32_t i = 0; !err && i < page.row_count; i++) {
		const struct tl_cell_row *row = &page.rows[i];

		err = audit_life_add(audit, place.org, row->key.member, row->key.agent,
			&row->totals, row->first_ms, row->last_ms);
	}
	return err;
}

static enum tl_err
visit_stored(struct audit *audit, struct tl_slice key, struct tl_slice value, struct tl_why *why)
{
	uint32_t org;
	uint32_t entity;
	enum tl_dim dim;
	struct tl_life stored;
	struct audit_life *life;
	const char *what;

	if (!tl_key_life_parse(key, &org, &dim, &entity))
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "life: a wrong key");
	what = dim == TL_DIM_MEMBER ? "member" : "agent";
	audit->report.lives++;
	life = life_of(audit, org, dim, entity);
	if (life != NULL)
		life->is_seen = true;
	if (tl_life_decode(value, &stored) != TL_OK)
		audit_differs(
			audit, "life of %s %u of org %u: the row is damaged", what, entity, org);
	else if (life == NULL)
		audit_differs(audit,
			"life of %s %u of org %u: stored %" PRId64 " requests, raw has none", what,
			entity, org, stored.totals.requests);
	else if (!tl_totals_eq(&stored.totals, &life->life.totals) ||
		 stored.first_ms != life->life.first_ms || stored.last_ms != life->life.last_ms)
		audit_differs(audit,
			"life of %s %u of org %u: stored %" PRId64 " requests, %" PRId64
			" nusd, last %" PRId64 "; recounted %" PRId64 ", %" PRId64 ", %" PRId64,
			what, entity, org, stored.totals.requests, stored.totals.cost_nusd,
			stored.last_ms, life->life.totals.requests, life->life.totals.cost_nusd,
			life->life.last_ms);
	return TL_OK;
}

static enum tl_err
visit_family(struct audit *audit, enum tl_family family,
	enum tl_err (*visit)(struct audit *audit, struct tl_slice key, struct tl_slice value,
		struct tl_why *why),
	struct tl_why *why)
{
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open(audit->store, audit->view, family, tl_slice_of(NULL, 0),
		tl_slice_of(NULL, 0), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK)
		err = visit(audit, key, value, why);
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

enum tl_err
audit_lives(struct audit *audit, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	if (audit->cut.day_ms != INT64_MIN)
		err = visit_family(audit, TL_FAMILY_CELL_1D, add_expired_day, why);
	if (!err)
		err = visit_family(audit, TL_FAMILY_LIFE, visit_stored, why);
	if (err)
		return err;
	for (const struct audit_life *life = audit->life_list; life != NULL; life = life->next) {
		if (!life->is_seen)
			audit_differs(audit,
				"life of %s %u of org %u is not stored; recounted %" PRId64
				" requests",
				life->dim == TL_DIM_MEMBER ? "member" : "agent", life->entity,
				life->org, life->life.totals.requests);
	}
	return TL_OK;
}
