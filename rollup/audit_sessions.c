/*
 * Sessions as raw tells them. A session that reaches back behind the cut of expiry cannot be
 * recounted: its stored repo and PRs are taken for the cells, and it is not compared.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "rollup/audit_parts.h"
#include "schema/model/limits.h"
#include "schema/store/dict.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define COLUMN(column) (UINT64_C(1) << (column))
#define UNUSED_COLUMNS                                                                 \
	(COLUMN(TL_COL_PROVIDER) | COLUMN(TL_COL_BRANCH) | COLUMN(TL_COL_COMMIT) |     \
		COLUMN(TL_COL_TAGS) | COLUMN(TL_COL_EMAIL_ENC) | COLUMN(TL_COL_RULE) | \
		COLUMN(TL_COL_SEVERITY))

struct audit_session *
audit_session_of(const struct audit *audit, uint32_t org, uint32_t session)
{
	uint64_t hash = index_hash(org, session);
	uint64_t at = hash;
	struct audit_session *found;

	while ((found = index_next(&audit->sessions, hash, &at)) != NULL) {
		if (found->org == org && found->session == session)
			break;
	}
	return found;
}

static enum tl_err
make_session(struct audit *audit, uint32_t org, uint32_t session, struct audit_session **out)
{
	struct audit_session *made = audit_session_of(audit, org, session);

	if (made == NULL) {
		enum tl_err err;

		made = tl_arena_alloc(&audit->arena, sizeof(*made));
		if (made == NULL)
			return TL_ENOMEM;
		made->org = org;
		made->session = session;
		tl_session_row_init(&made->row);
		err = index_put(&audit->sessions, &audit->arena, index_hash(org, session), made);
		if (err)
			return err;
		made->next = audit->session_list;
		audit->session_list = made;
	}
	*out = made;
	return TL_OK;
}

static uint32_t
id_of(const struct audit_row *row, enum tl_column column)
{
	return (uint32_t)tl_batch_get(row->batch, column, row->idx);
}

static enum tl_err
add_link(struct audit *audit, struct audit_session *session, const struct audit_row *row)
{
	struct audit_link *link = tl_arena_alloc(&audit->arena, sizeof(*link));

	if (link == NULL)
		return TL_ENOMEM;
	link->link.ts_ms = tl_batch_get(row->batch, TL_COL_TS, row->idx);
	memcpy(link->link.id, row->batch->id[row->idx], sizeof(link->link.id));
	link->link.op = (enum tl_link_op)id_of(row, TL_COL_LINK_OP);
	link->link.repo = id_of(row, TL_COL_REPO);
	link->link.number = id_of(row, TL_COL_PR);
	link->link.value = id_of(row, TL_COL_VALUE);
	link->next = session->links;
	session->links = link;
	session->link_count++;
	return TL_OK;
}

static enum tl_err
add_bucket(struct audit *audit, struct audit_session *session, int64_t bucket_no)
{
	struct audit_bucket *bucket;

	if (session->buckets != NULL && session->buckets->bucket_no == bucket_no)
		return TL_OK;
	bucket = tl_arena_alloc(&audit->arena, sizeof(*bucket));
	if (bucket == NULL)
		return TL_ENOMEM;
	*bucket = (struct audit_bucket){.next = session->buckets, .bucket_no = bucket_no};
	session->buckets = bucket;
	session->bucket_count++;
	return TL_OK;
}

static enum tl_err
add_request(struct audit *audit, struct audit_session *session, const struct audit_row *row)
{
	struct tl_session_row *made = &session->row;
	const uint8_t *id = row->batch->id[row->idx];
	struct audit_pr *pr;

	if (row->time_ms < made->first_ms)
		made->first_ms = row->time_ms;
	if (row->time_ms > made->last_ms ||
		(row->time_ms == made->last_ms && memcmp(id, session->last_id, 16) > 0)) {
		made->last_ms = row->time_ms;
		memcpy(session->last_id, id, sizeof(session->last_id));
		made->member = id_of(row, TL_COL_MEMBER);
		made->agent = id_of(row, TL_COL_AGENT);
	}
	if (id_of(row, TL_COL_REPO) == 0 || id_of(row, TL_COL_PR) == 0)
		return TL_OK;
	pr = tl_arena_alloc(&audit->arena, sizeof(*pr));
	if (pr == NULL)
		return TL_ENOMEM;
	pr->next = session->event_prs;
	pr->pr = (struct tl_pr){id_of(row, TL_COL_REPO), id_of(row, TL_COL_PR)};
	session->event_prs = pr;
	session->event_pr_count++;
	return TL_OK;
}

static enum tl_err
visit_row(struct audit *audit, const struct audit_row *row, void *arg, struct tl_why *why)
{
	uint32_t session_id = id_of(row, TL_COL_SESSION);
	bool is_request = row->kind == TL_KIND_REQUEST;
	struct audit_session *session;
	struct tl_totals totals;
	enum tl_err err;

	(void)arg;
	(void)why;
	if (!audit_counts(audit, row))
		return TL_OK;
	tl_event_totals(row->batch, row->idx, &totals);
	if (row->kind != TL_KIND_LINK) {
		if (tl_totals_is_zero(&totals))
			return TL_OK;
		err = audit_life_add(audit, row->org, id_of(row, TL_COL_MEMBER),
			id_of(row, TL_COL_AGENT), &totals, is_request ? row->time_ms : INT64_MAX,
			is_request ? row->time_ms : INT64_MIN);
		if (err)
			return err;
	}
	if (session_id == 0)
		return TL_OK;
	err = make_session(audit, row->org, session_id, &session);
	if (err)
		return err;
	if (row->kind == TL_KIND_LINK)
		return add_link(audit, session, row);
	err = tl_totals_add(&session->row.totals, &totals, 1);
	if (!err)
		err = add_bucket(audit, session, tl_bucket_no(TL_SPAN_15M, row->time_ms));
	if (!err && is_request)
		err = add_request(audit, session, row);
	return err;
}

static int
compare_links(const void *a_arg, const void *b_arg)
{
	const struct tl_session_link *a = a_arg;
	const struct tl_session_link *b = b_arg;

	if (a->op != b->op)
		return a->op < b->op ? -1 : 1;
	if (a->ts_ms != b->ts_ms)
		return a->ts_ms < b->ts_ms ? -1 : 1;
	return memcmp(a->id, b->id, sizeof(a->id));
}

/* In the order of the row, and what they say: the last of each kind. */
static enum tl_err
list_links(struct audit *audit, struct audit_session *session)
{
	struct tl_session_row *row = &session->row;

	row->links = tl_arena_array(&audit->arena, session->link_count, sizeof(*row->links));
	if (row->links == NULL)
		return TL_ENOMEM;
	for (const struct audit_link *link = session->links; link != NULL; link = link->next)
		row->links[row->link_count++] = link->link;
	qsort(row->links, row->link_count, sizeof(*row->links), compare_links);
	for (uint32_t i = 0; i < row->link_count; i++) {
		if (row->links[i].op == TL_LINK_SET_REPO)
			row->repo = row->links[i].repo;
		if (row->links[i].op == TL_LINK_SET_NAME)
			row->name = row->links[i].value;
	}
	return TL_OK;
}

static int
compare_i64(const void *a_arg, const void *b_arg)
{
	int64_t a = *(const int64_t *)a_arg;
	int64_t b = *(const int64_t *)b_arg;

	return (a > b) - (a < b);
}

static enum tl_err
list_buckets(struct audit *audit, struct audit_session *session)
{
	struct tl_session_row *row = &session->row;
	int64_t *all = tl_arena_array(&audit->arena, session->bucket_count, sizeof(*row->buckets));
	uint32_t count = 0;

	if (all == NULL)
		return TL_ENOMEM;
	for (const struct audit_bucket *bucket = session->buckets; bucket; bucket = bucket->next)
		all[count++] = bucket->bucket_no;
	qsort(all, count, sizeof(*all), compare_i64);
	row->buckets = all;
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || all[i] != row->buckets[row->bucket_count - 1])
			row->buckets[row->bucket_count++] = all[i];
	}
	return TL_OK;
}

static int
compare_prs(const void *a_arg, const void *b_arg)
{
	const struct tl_pr *a = a_arg;
	const struct tl_pr *b = b_arg;

	if (a->repo != b->repo)
		return a->repo < b->repo ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

static enum tl_err
list_event_prs(struct audit *audit, struct audit_session *session)
{
	struct tl_session_row *row = &session->row;
	struct tl_pr *all = tl_arena_array(&audit->arena, session->event_pr_count, sizeof(*all));
	uint32_t count = 0;

	row->event_prs =
		tl_arena_array(&audit->arena, session->event_pr_count, sizeof(*row->event_prs));
	if (all == NULL || row->event_prs == NULL)
		return TL_ENOMEM;
	for (const struct audit_pr *pr = session->event_prs; pr != NULL; pr = pr->next)
		all[count++] = pr->pr;
	qsort(all, count, sizeof(*all), compare_prs);
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || compare_prs(&all[i - 1], &all[i]) != 0)
			row->event_prs[row->event_pr_count++].pr = all[i];
		row->event_prs[row->event_pr_count - 1].event_count++;
	}
	return TL_OK;
}

struct named_pr {
	struct tl_slice name;
	struct tl_pr pr;
};

static int
compare_named_prs(const void *a_arg, const void *b_arg)
{
	const struct named_pr *a = a_arg;
	const struct named_pr *b = b_arg;
	int order = tl_slice_cmp(a->name, b->name);

	return order != 0 ? order : compare_prs(&a->pr, &b->pr);
}

static enum tl_err
name_pr(struct audit *audit, uint32_t org, struct tl_pr pr, struct named_pr *named_out,
	struct tl_why *why)
{
	enum tl_err err = tl_dict_name(
		audit->store, audit->view, org, TL_NAME_REPO, pr.repo, &audit->bytes, why);

	if (err)
		return tl_fail(why, err == TL_ENOT_FOUND ? TL_ESTORAGE_CORRUPT : err,
			"org %u: repo %u has no name", org, pr.repo);
	named_out->pr = pr;
	named_out->name = tl_arena_copy(&audit->arena, tl_buf_slice(&audit->bytes));
	return named_out->name.data == NULL ? TL_ENOMEM : TL_OK;
}

static enum tl_err
list_prs(struct audit *audit, struct audit_session *session, struct tl_why *why)
{
	struct tl_session_row *row = &session->row;
	size_t capacity = (size_t)row->link_count + row->event_pr_count;
	struct named_pr *named = tl_arena_array(&audit->arena, capacity, sizeof(*named));
	uint32_t count = 0;
	enum tl_err err = TL_OK;

	row->prs = tl_arena_array(&audit->arena, capacity, sizeof(*row->prs));
	if (named == NULL || row->prs == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; !err && i < row->link_count; i++) {
		struct tl_pr pr = {row->links[i].repo, row->links[i].number};

		if (row->links[i].op != TL_LINK_ADD_PR)
			continue;
		if (pr.repo == 0)
			pr.repo = row->repo;
		if (pr.repo != 0)
			err = name_pr(audit, session->org, pr, &named[count++], why);
	}
	for (uint32_t i = 0; !err && i < row->event_pr_count; i++)
		err = name_pr(audit, session->org, row->event_prs[i].pr, &named[count++], why);
	if (err)
		return err;
	qsort(named, count, sizeof(*named), compare_named_prs);
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || compare_prs(&named[i - 1].pr, &named[i].pr) != 0)
			row->prs[row->pr_count++] = named[i].pr;
	}
	if (row->pr_count > TL_SESSION_PULLS_MAX)
		row->pr_count = TL_SESSION_PULLS_MAX;
	return TL_OK;
}

static enum tl_err
make_row(struct audit *audit, struct audit_session *session, struct tl_why *why)
{
	enum tl_err err = list_links(audit, session);

	if (!err)
		err = list_buckets(audit, session);
	if (!err)
		err = list_event_prs(audit, session);
	return err ? err : list_prs(audit, session, why);
}

static bool
reaches_behind(const struct audit *audit, const struct tl_session_row *row)
{
	int64_t cut_ms = audit->cut.day_ms;

	if (cut_ms == INT64_MIN)
		return false;
	if (row->bucket_count > 0 && row->buckets[0] * TL_QUARTER_MS < cut_ms)
		return true;
	for (uint32_t i = 0; i < row->link_count; i++) {
		/* A link stamped ahead of its arrival lies in the day of its arrival. */
		if (row->links[i].ts_ms < cut_ms + 2 * TL_FUTURE_MS_MAX)
			return true;
	}
	return false;
}

/* The first part of two rows that is not the same, in words. */
static const char *
differing_part(const struct tl_session_row *a, const struct tl_session_row *b)
{
	if (!tl_totals_eq(&a->totals, &b->totals))
		return "totals";
	if (a->first_ms != b->first_ms || a->last_ms != b->last_ms)
		return "first or last";
	if (a->member != b->member || a->agent != b->agent)
		return "member or agent";
	if (a->repo != b->repo || a->name != b->name)
		return "repo or name";
	if (a->link_count != b->link_count)
		return "links";
	if (a->bucket_count != b->bucket_count)
		return "buckets";
	return "PRs, links or buckets";
}

static enum tl_err
compare_row(struct audit *audit, struct audit_session *session, struct tl_slice stored_bytes,
	const struct tl_session_row *stored)
{
	const struct tl_session_row *row = &session->row;
	enum tl_err err;

	tl_buf_reset(&audit->bytes);
	tl_session_row_encode(row, &audit->bytes);
	err = audit->bytes.err;
	if (!err && !tl_slice_eq(tl_buf_slice(&audit->bytes), stored_bytes))
		audit_differs(audit,
			"session %u of org %u: %s; stored %" PRId64 " requests, %" PRId64
			" nusd, repo %u; recounted %" PRId64 ", %" PRId64 ", %u",
			session->session, session->org, differing_part(stored, row),
			stored->totals.requests, stored->totals.cost_nusd, stored->repo,
			row->totals.requests, row->totals.cost_nusd, row->repo);
	return err;
}

/* What cannot be recounted counts as stored. */
static enum tl_err
take_stored(struct audit *audit, struct audit_session *session, const struct tl_session_row *stored)
{
	session->row.repo = stored->repo;
	session->row.pr_count = stored->pr_count;
	session->row.prs =
		tl_arena_array(&audit->arena, stored->pr_count, sizeof(*session->row.prs));
	if (session->row.prs == NULL)
		return TL_ENOMEM;
	if (stored->pr_count > 0)
		memcpy(session->row.prs, stored->prs, stored->pr_count * sizeof(*session->row.prs));
	return TL_OK;
}

static enum tl_err
visit_stored(struct audit *audit, struct tl_slice key, struct tl_slice value, struct tl_why *why)
{
	uint32_t org;
	uint32_t id;
	struct tl_session_row stored;
	struct audit_session *session;
	enum tl_err err;

	if (!tl_key_session_parse(key, &org, &id))
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "session: a wrong key");
	tl_arena_reset(&audit->day_arena);
	err = tl_session_row_decode(value, &audit->day_arena, &stored);
	if (err == TL_ESTORAGE_CORRUPT) {
		audit_differs(audit, "session %u of org %u: the stored row is damaged", id, org);
		err = TL_OK;
		stored = (struct tl_session_row){0};
	}
	if (err)
		return err;
	audit->report.sessions++;
	session = audit_session_of(audit, org, id);
	if (session != NULL)
		session->is_seen = true;
	if (reaches_behind(audit, &stored))
		return session != NULL ? take_stored(audit, session, &stored) : TL_OK;
	if (session != NULL)
		return compare_row(audit, session, value, &stored);
	audit_differs(audit, "session %u of org %u: stored, but raw has no event of it", id, org);
	return TL_OK;
}

enum tl_err
audit_sessions(struct audit *audit, struct tl_why *why)
{
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err = TL_OK;

	for (size_t i = 0; !err && i < audit->day_count; i++)
		err = audit_read_day(
			audit, i, TL_BLOCK_ALL_COLUMNS & ~UNUSED_COLUMNS, visit_row, NULL, why);
	for (struct audit_session *one = audit->session_list; !err && one; one = one->next)
		err = make_row(audit, one, why);
	if (!err)
		err = tl_scan_open(audit->store, audit->view, TL_FAMILY_SESSION,
			tl_slice_of(NULL, 0), tl_slice_of(NULL, 0), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK)
		err = visit_stored(audit, key, value, why);
	tl_scan_free(scan);
	if (err != TL_EEND)
		return err;
	for (const struct audit_session *one = audit->session_list; one; one = one->next) {
		if (one->is_seen || expire_last_activity_ms(&one->row) < audit->cut.session_ms)
			continue;
		audit_differs(audit,
			"session %u of org %u is not stored; recounted %" PRId64 " requests",
			one->session, one->org, one->row.totals.requests);
	}
	return TL_OK;
}
