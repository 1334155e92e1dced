/*
 * The cells of one day at a time, from raw: facts per quarter, hours as these are and days as sums
 * of them, so that an error in an hour does not hide one above it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "rollup/audit_expect.h"
#include "schema/model/bucket.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define COLUMN(column) (UINT64_C(1) << (column))
#define UNUSED_COLUMNS                                                                 \
	(COLUMN(TL_COL_PROVIDER) | COLUMN(TL_COL_BRANCH) | COLUMN(TL_COL_COMMIT) |     \
		COLUMN(TL_COL_TAGS) | COLUMN(TL_COL_EMAIL_ENC) | COLUMN(TL_COL_RULE) | \
		COLUMN(TL_COL_SEVERITY))

struct day {
	int64_t day_ms;
	struct index fact_index, hour_index;
	struct audit_list facts; /* by (org, part, bucket, key) once complete */
	struct audit_list hours; /* by (org, part, hour) */
};

/* Where stored cells are: (day, org). */
struct place {
	int64_t day_ms;
	uint32_t org;
};

struct places {
	struct place *at;
	size_t count, capacity;
};

static enum tl_err
hour_of(struct audit *audit, struct day *day, uint32_t org, uint32_t part, int64_t hour_no,
	struct audit_hour **hour_out)
{
	uint64_t hash = index_hash((uint64_t)part << 32 | org, (uint64_t)hour_no);
	uint64_t at = hash;
	struct audit_hour *hour;
	enum tl_err err;

	while ((hour = index_next(&day->hour_index, hash, &at)) != NULL) {
		if (hour->org == org && hour->part == part && hour->hour_no == hour_no) {
			*hour_out = hour;
			return TL_OK;
		}
	}
	hour = tl_arena_alloc(&audit->day_arena, sizeof(*hour));
	if (hour == NULL)
		return TL_ENOMEM;
	hour->org = org;
	hour->part = part;
	hour->hour_no = hour_no;
	err = index_put(&day->hour_index, &audit->day_arena, hash, hour);
	if (!err)
		err = audit_list_put(&day->hours, &audit->day_arena, hour);
	*hour_out = hour;
	return err;
}

static enum tl_err
note_group(struct audit *audit, struct audit_hour *hour, uint64_t no, int64_t bucket_no)
{
	struct audit_group *group = hour->groups;

	if (group == NULL || group->group_no != no) {
		group = tl_arena_alloc(&audit->day_arena, sizeof(*group));
		if (group == NULL)
			return TL_ENOMEM;
		*group = (struct audit_group){.next = hour->groups, .group_no = no};
		hour->groups = group;
		hour->group_count++;
	}
	group->quarters |= (uint8_t)(1u << (bucket_no & 3));
	return TL_OK;
}

static enum tl_err
fact_of(struct audit *audit, struct day *day, uint32_t org, int64_t bucket_no,
	const struct tl_cell_key *key, struct audit_fact **fact_out)
{
	uint64_t hash =
		index_hash(index_hash((uint64_t)org << 32 | key->session, (uint64_t)bucket_no),
			index_hash((uint64_t)key->member << 32 | key->agent,
				(uint64_t)key->model << 32 | key->repo));
	uint64_t at = hash;
	struct audit_fact *fact;
	enum tl_err err;

	while ((fact = index_next(&day->fact_index, hash, &at)) != NULL) {
		if (fact->org == org && fact->bucket_no == bucket_no &&
			tl_cell_key_cmp(&fact->row.key, key) == 0) {
			*fact_out = fact;
			return TL_OK;
		}
	}
	fact = tl_arena_alloc(&audit->day_arena, sizeof(*fact));
	if (fact == NULL)
		return TL_ENOMEM;
	fact->org = org;
	fact->bucket_no = bucket_no;
	fact->row.key = *key;
	fact->row.first_ms = INT64_MAX;
	fact->row.last_ms = INT64_MIN;
	err = index_put(&day->fact_index, &audit->day_arena, hash, fact);
	if (!err)
		err = audit_list_put(&day->facts, &audit->day_arena, fact);
	*fact_out = fact;
	return err;
}

static struct tl_cell_key
key_of(const struct audit *audit, const struct audit_row *row)
{
	struct tl_cell_key key = {
		.session = (uint32_t)tl_batch_get(row->batch, TL_COL_SESSION, row->idx),
		.member = (uint32_t)tl_batch_get(row->batch, TL_COL_MEMBER, row->idx),
		.agent = (uint32_t)tl_batch_get(row->batch, TL_COL_AGENT, row->idx),
		.model = (uint32_t)tl_batch_get(row->batch, TL_COL_MODEL, row->idx),
		.repo = (uint32_t)tl_batch_get(row->batch, TL_COL_REPO, row->idx),
	};

	key.has_own_repo = key.repo != 0;
	if (key.session != 0 && key.repo == 0) {
		const struct audit_session *session =
			audit_session_of(audit, row->org, key.session);

		key.repo = session != NULL ? session->row.repo : 0;
	}
	return key;
}

static enum tl_err
visit_row(struct audit *audit, const struct audit_row *row, void *arg, struct tl_why *why)
{
	struct day *day = arg;
	int64_t bucket_no = tl_bucket_no(TL_SPAN_15M, row->time_ms);
	struct tl_cell_key key;
	uint32_t part;
	struct audit_hour *hour;
	struct audit_fact *fact;
	struct tl_totals totals;
	enum tl_err err;

	(void)why;
	tl_event_totals(row->batch, row->idx, &totals);
	if (row->kind == TL_KIND_LINK || tl_totals_is_zero(&totals))
		return TL_OK;
	part = tl_cell_part((uint32_t)tl_batch_get(row->batch, TL_COL_SESSION, row->idx));
	err = hour_of(audit, day, row->org, part, tl_bucket_no(TL_SPAN_1H, row->time_ms), &hour);
	if (!err)
		err = note_group(audit, hour, row->group_no, bucket_no);
	if (err || !audit_counts(audit, row))
		return err;
	key = key_of(audit, row);
	err = fact_of(audit, day, row->org, bucket_no, &key, &fact);
	if (err)
		return err;
	if (row->kind == TL_KIND_REQUEST && row->time_ms < fact->row.first_ms)
		fact->row.first_ms = row->time_ms;
	if (row->kind == TL_KIND_REQUEST && row->time_ms > fact->row.last_ms)
		fact->row.last_ms = row->time_ms;
	return tl_totals_add(&fact->row.totals, &totals, 1);
}

static uint32_t
part_of(const struct audit_fact *fact)
{
	return tl_cell_part(fact->row.key.session);
}

static int
compare_facts(const void *a_arg, const void *b_arg)
{
	const struct audit_fact *a = *(struct audit_fact *const *)a_arg;
	const struct audit_fact *b = *(struct audit_fact *const *)b_arg;

	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	if (part_of(a) != part_of(b))
		return part_of(a) < part_of(b) ? -1 : 1;
	if (a->bucket_no != b->bucket_no)
		return a->bucket_no < b->bucket_no ? -1 : 1;
	return tl_cell_key_cmp(&a->row.key, &b->row.key);
}

static int
compare_hours(const void *a_arg, const void *b_arg)
{
	const struct audit_hour *a = *(struct audit_hour *const *)a_arg;
	const struct audit_hour *b = *(struct audit_hour *const *)b_arg;

	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	return (a->hour_no > b->hour_no) - (a->hour_no < b->hour_no);
}

static const char *
differing_part(const struct tl_page *stored, const struct tl_page *expected)
{
	struct tl_page a = *stored;
	struct tl_page b = *expected;

	a.group_count = b.group_count = 0;
	if (tl_page_eq(&a, &b))
		return "groups";
	a.split_count = b.split_count = 0;
	if (tl_page_eq(&a, &b))
		return "splits";
	a.pr_count = b.pr_count = 0;
	return tl_page_eq(&a, &b) ? "PRs" : "rows";
}

/* Two pages have different rows: the first that does not fit, in words. */
static void
differing_row(struct audit *audit, const struct tl_page_place *place, const struct tl_page *stored,
	const struct tl_page *expected)
{
	static const struct tl_cell_row none = {0};
	const struct tl_cell_row *a = &none;
	const struct tl_cell_row *b = &none;

	for (uint32_t i = 0; i <= stored->row_count || i <= expected->row_count; i++) {
		a = i < stored->row_count ? &stored->rows[i] : &none;
		b = i < expected->row_count ? &expected->rows[i] : &none;
		if (tl_cell_key_cmp(&a->key, &b->key) != 0 ||
			!tl_totals_eq(&a->totals, &b->totals) || a->first_ms != b->first_ms ||
			a->last_ms != b->last_ms)
			break;
	}
	audit_differs(audit,
		"cell %s org %u bucket %" PRId64
		": stored row (session %u member %u model %u repo %u) "
		"%" PRId64 " requests %" PRId64 " nusd; recounted (%u %u %u %u) %" PRId64
		" %" PRId64,
		tl_span_name(place->span), place->org, place->bucket_ms, a->key.session,
		a->key.member, a->key.model, a->key.repo, a->totals.requests, a->totals.cost_nusd,
		b->key.session, b->key.member, b->key.model, b->key.repo, b->totals.requests,
		b->totals.cost_nusd);
}

static enum tl_err
compare_page(struct audit *audit, const struct tl_page_place *place, const struct tl_page *expected,
	struct tl_why *why)
{
	struct tl_key key = tl_key_page(place);
	struct tl_page stored;
	enum tl_err err;

	err = tl_store_get(audit->store, audit->view, tl_cell_family(place->span),
		tl_key_slice(&key), &audit->bytes, why);
	if (err == TL_ENOT_FOUND) {
		audit_differs(audit,
			"cell %s org %u bucket %" PRId64
			" part %u is not stored; recounted %u rows",
			tl_span_name(place->span), place->org, place->bucket_ms, place->part,
			expected->row_count);
		return TL_OK;
	}
	if (err)
		return err;
	audit->report.pages++;
	err = tl_page_decode(tl_buf_slice(&audit->bytes), place->span, place->bucket_ms,
		&audit->block_arena, &stored);
	if (err == TL_ESTORAGE_CORRUPT) {
		audit_differs(audit, "cell %s org %u bucket %" PRId64 " part %u is damaged",
			tl_span_name(place->span), place->org, place->bucket_ms, place->part);
		return TL_OK;
	}
	if (err || tl_page_eq(&stored, expected))
		return err;
	if (strcmp(differing_part(&stored, expected), "rows") == 0)
		differing_row(audit, place, &stored, expected);
	else
		audit_differs(audit, "cell %s org %u bucket %" PRId64 " part %u: %s differ",
			tl_span_name(place->span), place->org, place->bucket_ms, place->part,
			differing_part(&stored, expected));
	return TL_OK;
}

/* The page that facts[0..count) should have made, against the stored one. */
static enum tl_err
check_page(struct audit *audit, const struct tl_page_place *place, struct audit_fact *const *facts,
	size_t count, const struct audit_hour *hour, struct tl_why *why)
{
	struct tl_page expected;
	enum tl_err err = audit_expect(audit, place->org, facts, count, hour, &expected);

	return err ? err : compare_page(audit, place, &expected, why);
}

static struct tl_page_place
place_of_hour(const struct audit_hour *hour)
{
	return (struct tl_page_place){.org = hour->org,
		.span = TL_SPAN_1H,
		.bucket_ms = hour->hour_no * TL_HOUR_MS,
		.part = hour->part};
}

static struct tl_page_place
place_of_fact(const struct audit_fact *fact, enum tl_span span)
{
	return (struct tl_page_place){.org = fact->org,
		.span = span,
		.bucket_ms = tl_bucket_floor(span, fact->bucket_no * TL_QUARTER_MS),
		.part = part_of(fact)};
}

/* In the order of facts and hours. */
static int
compare_page_places(const struct tl_page_place *a, const struct tl_page_place *b)
{
	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	return (a->bucket_ms > b->bucket_ms) - (a->bucket_ms < b->bucket_ms);
}

/* Where the facts of the page end that begin at from. */
static size_t
end_of_page(const struct day *day, const struct tl_page_place *place, size_t from)
{
	while (from < day->facts.count) {
		struct tl_page_place at = place_of_fact(day->facts.at[from], place->span);

		if (compare_page_places(&at, place) != 0)
			break;
		from++;
	}
	return from;
}

/* Every page of an hour that raw asks for. An hour may have groups and no row left. */
static enum tl_err
check_hours(struct audit *audit, const struct day *day, struct tl_why *why)
{
	struct audit_fact **facts = (struct audit_fact **)day->facts.at;
	size_t from = 0;
	enum tl_err err = TL_OK;

	for (size_t i = 0; !err && i < day->hours.count; i++) {
		const struct audit_hour *hour = day->hours.at[i];
		struct tl_page_place place = place_of_hour(hour);

		size_t to = end_of_page(day, &place, from);

		err = check_page(audit, &place, facts + from, to - from, hour, why);
		from = to;
	}
	return err;
}

/* The pages of the day itself. */
static enum tl_err
check_whole(struct audit *audit, const struct day *day, struct tl_why *why)
{
	struct audit_fact **facts = (struct audit_fact **)day->facts.at;
	enum tl_err err = TL_OK;

	for (size_t from = 0, to; !err && from < day->facts.count; from = to) {
		struct tl_page_place place = place_of_fact(facts[from], TL_SPAN_1D);

		to = end_of_page(day, &place, from);
		err = check_page(audit, &place, facts + from, to - from, NULL, why);
	}
	return err;
}

/* Whether raw asks for the page. */
static bool
is_expected(const struct day *day, const struct tl_page_place *place)
{
	bool is_hour = place->span == TL_SPAN_1H;
	size_t low = 0;
	size_t high = is_hour ? day->hours.count : day->facts.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct tl_page_place at =
			is_hour ? place_of_hour(day->hours.at[middle])
				: place_of_fact(day->facts.at[middle], place->span);
		int order = compare_page_places(&at, place);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Stored pages that raw knows nothing of. */
static enum tl_err
check_extra(struct audit *audit, const struct day *day, enum tl_span span, uint32_t org,
	struct tl_why *why)
{
	struct tl_key first = tl_key_cell(org, span, day->day_ms);
	struct tl_key last = tl_key_cell(org, span, day->day_ms + TL_DAY_MS);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open(audit->store, audit->view, tl_cell_family(span), tl_key_slice(&first),
		tl_key_slice(&last), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK) {
		struct tl_page_place place;

		if (!tl_key_page_parse(key, span, &place))
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "cell %s: a wrong key",
				tl_span_name(span));
		else if (!is_expected(day, &place))
			audit_differs(audit,
				"cell %s org %u bucket %" PRId64
				" part %u is stored, but raw has no event in it",
				tl_span_name(span), org, place.bucket_ms, place.part);
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

static enum tl_err
add_place(struct places *places, uint32_t org, int64_t day_ms)
{
	if (places->count == places->capacity) {
		size_t capacity = places->capacity * 2 + 64;
		struct place *at = realloc(places->at, capacity * sizeof(*at));

		if (at == NULL)
			return TL_ENOMEM;
		places->at = at;
		places->capacity = capacity;
	}
	places->at[places->count++] = (struct place){.day_ms = day_ms, .org = org};
	return TL_OK;
}

/* Skip from day to day and from org to org: one seek for each that has cells. */
static enum tl_err
find_places(struct audit *audit, enum tl_span span, struct places *places, struct tl_why *why)
{
	struct tl_key first = tl_key_org(0);
	enum tl_err err = TL_OK;

	while (!err) {
		struct tl_scan *scan = NULL;
		struct tl_slice key;
		struct tl_slice value;
		struct tl_page_place place = {0};

		err = tl_scan_open(audit->store, audit->view, tl_cell_family(span),
			tl_key_slice(&first), tl_slice_of(NULL, 0), &scan, why);
		if (!err)
			err = tl_scan_next(scan, &key, &value, why);
		if (!err && !tl_key_page_parse(key, span, &place))
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "cell %s: a wrong key",
				tl_span_name(span));
		tl_scan_free(scan);
		if (err)
			break;
		place.bucket_ms = tl_bucket_floor(TL_SPAN_1D, place.bucket_ms);
		err = add_place(places, place.org, place.bucket_ms);
		first = tl_key_cell(place.org, span, place.bucket_ms + TL_DAY_MS);
	}
	return err == TL_EEND ? TL_OK : err;
}

static int
compare_places(const void *a_arg, const void *b_arg)
{
	const struct place *a = a_arg;
	const struct place *b = b_arg;

	if (a->day_ms != b->day_ms)
		return a->day_ms < b->day_ms ? -1 : 1;
	return (a->org > b->org) - (a->org < b->org);
}

/* Stored pages of the day that raw does not ask for; *at moves past the places of the day. */
static enum tl_err
check_places(struct audit *audit, const struct day *day, const struct places *places, size_t *at,
	struct tl_why *why)
{
	enum tl_err err = TL_OK;

	for (; !err && *at < places->count && places->at[*at].day_ms == day->day_ms; ++*at) {
		uint32_t org = places->at[*at].org;

		if (*at > 0 && compare_places(&places->at[*at - 1], &places->at[*at]) == 0)
			continue;
		for (enum tl_span span = TL_SPAN_1H; !err && span <= TL_SPAN_1D; span++)
			err = check_extra(audit, day, span, org, why);
	}
	return err;
}

static enum tl_err
check_day(struct audit *audit, size_t day_idx, struct day *day, struct tl_why *why)
{
	enum tl_err err;

	err = audit_read_day(
		audit, day_idx, TL_BLOCK_ALL_COLUMNS & ~UNUSED_COLUMNS, visit_row, day, why);
	if (err)
		return err;
	if (day->facts.count > 0)
		qsort(day->facts.at, day->facts.count, sizeof(void *), compare_facts);
	if (day->hours.count > 0)
		qsort(day->hours.at, day->hours.count, sizeof(void *), compare_hours);
	err = check_hours(audit, day, why);
	return err ? err : check_whole(audit, day, why);
}

/* Days of raw and days of stored cells, in one order. */
static enum tl_err
check_days(struct audit *audit, const struct places *places, struct tl_why *why)
{
	size_t day_idx = 0;
	size_t at = 0;
	enum tl_err err = TL_OK;

	while (at < places->count && places->at[at].day_ms < audit->cut.day_ms)
		at++;
	while (!err && (day_idx < audit->day_count || at < places->count)) {
		struct day day = {.day_ms = INT64_MAX};

		if (day_idx < audit->day_count)
			day.day_ms = tl_day_ms(audit->days[day_idx]);
		if (at < places->count && places->at[at].day_ms < day.day_ms)
			day.day_ms = places->at[at].day_ms;
		tl_arena_reset(&audit->day_arena);
		if (day_idx < audit->day_count && tl_day_ms(audit->days[day_idx]) == day.day_ms)
			err = check_day(audit, day_idx++, &day, why);
		if (!err)
			err = check_places(audit, &day, places, &at, why);
	}
	return err;
}

enum tl_err
audit_cells(struct audit *audit, struct tl_why *why)
{
	struct places places = {0};
	enum tl_err err = TL_OK;

	for (enum tl_span span = TL_SPAN_1H; !err && span <= TL_SPAN_1D; span++)
		err = find_places(audit, span, &places, why);
	if (places.count > 0)
		qsort(places.at, places.count, sizeof(*places.at), compare_places);
	if (!err)
		err = check_days(audit, &places, why);
	free(places.at);
	return err;
}
