/*
 * A session's repo, name and PRs follow from its links, and "last wins" is by (ts, id). So the row
 * keeps every link, and settling it is: stored links plus those of the step, less those taken back,
 * sorted, read off. No order of arrival is left in it.
 */
#include "rollup/sessions.h"

#include <inttypes.h>
#include <stdlib.h>

#include "schema/model/bucket.h"
#include "schema/model/limits.h"
#include "schema/store/dict.h"
#include "schema/store/key.h"

#define NAMES_MAX 65536u
#define NAME_ARENA_BYTES_MAX (64u << 20)

enum tl_err
sessions_init(struct sessions *sessions, struct tl_store *store, struct cache *cache)
{
	*sessions = (struct sessions){.store = store, .cache = cache};
	tl_buf_init(&sessions->bytes, 0);
	tl_arena_init(&sessions->name_arena, NAME_ARENA_BYTES_MAX);
	return tl_map_new(NAMES_MAX, &sessions->names);
}

void
sessions_fini(struct sessions *sessions)
{
	if (sessions->store == NULL)
		return;
	tl_buf_fini(&sessions->bytes);
	tl_arena_fini(&sessions->name_arena);
	tl_map_free(sessions->names);
}

void
sessions_begin(struct sessions *sessions)
{
	sessions->index = (struct index){0};
	sessions->list = NULL;
	sessions->last = NULL;
	sessions->count = 0;
}

enum tl_err
sessions_touch(struct sessions *sessions, struct tl_arena *arena, uint32_t org, uint32_t session,
	struct session_touch **touch_out)
{
	struct session_touch *touch = sessions->last;
	uint64_t hash;
	uint64_t at;
	enum tl_err err;

	if (touch != NULL && touch->org == org && touch->session == session) {
		*touch_out = touch;
		return TL_OK;
	}
	hash = index_hash((uint64_t)org << 32 | session, 0);
	at = hash;
	while ((touch = index_next(&sessions->index, hash, &at)) != NULL) {
		if (touch->org == org && touch->session == session)
			break;
	}
	if (touch == NULL) {
		touch = tl_arena_alloc(arena, sizeof(*touch));
		if (touch == NULL)
			return TL_ENOMEM;
		touch->org = org;
		touch->session = session;
		touch->low_ms = touch->first_ms = touch->taken_first_ms = INT64_MAX;
		touch->last_ms = touch->taken_last_ms = INT64_MIN;
		err = index_put(&sessions->index, arena, hash, touch);
		if (err)
			return err;
		touch->next = sessions->list;
		sessions->list = touch;
		sessions->count++;
	}
	sessions->last = touch;
	*touch_out = touch;
	return TL_OK;
}

/* Whether (a_ms, a_id) comes after (b_ms, b_id). */
static bool
is_later(int64_t a_ms, const uint8_t a_id[16], int64_t b_ms, const uint8_t b_id[16])
{
	return a_ms != b_ms ? a_ms > b_ms : memcmp(a_id, b_id, 16) > 0;
}

void
sessions_request(struct session_touch *touch, int64_t time_ms, const uint8_t id[16], int sign,
	uint32_t member, uint32_t agent)
{
	if (sign < 0) {
		if (time_ms < touch->taken_first_ms)
			touch->taken_first_ms = time_ms;
		if (time_ms > touch->taken_last_ms)
			touch->taken_last_ms = time_ms;
		return;
	}
	if (time_ms < touch->first_ms)
		touch->first_ms = time_ms;
	if (is_later(time_ms, id, touch->last_ms, touch->last_id)) {
		touch->last_ms = time_ms;
		memcpy(touch->last_id, id, 16);
		touch->member = member;
		touch->agent = agent;
	}
}

enum tl_err
sessions_link(struct session_touch *touch, struct tl_arena *arena,
	const struct tl_session_link *link, int sign)
{
	struct session_step_link *step = tl_arena_alloc(arena, sizeof(*step));

	if (step == NULL)
		return TL_ENOMEM;
	*step = (struct session_step_link){.next = touch->links, .link = *link, .sign = sign};
	touch->links = step;
	touch->link_count++;
	return TL_OK;
}

enum tl_err
sessions_event_pr(struct session_touch *touch, struct tl_arena *arena, struct tl_pr pr, int sign)
{
	struct session_step_pr *step = touch->prs;

	/* Usually they all name the same one; settling sums up what is left. */
	if (step != NULL && step->event_pr.pr.repo == pr.repo &&
		step->event_pr.pr.number == pr.number) {
		step->event_pr.event_count += sign;
		return TL_OK;
	}
	step = tl_arena_alloc(arena, sizeof(*step));
	if (step == NULL)
		return TL_ENOMEM;
	step->next = touch->prs;
	step->event_pr = (struct tl_session_event_pr){.pr = pr, .event_count = sign};
	touch->prs = step;
	touch->pr_count++;
	return TL_OK;
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

/* A link and when it came: 0 for one that is stored. */
struct arrival {
	struct tl_session_link link;
	uint32_t no;
};

static int
compare_arrivals(const void *a_arg, const void *b_arg)
{
	const struct arrival *a = a_arg;
	const struct arrival *b = b_arg;
	int order = memcmp(a->link.id, b->link.id, sizeof(a->link.id));

	if (order != 0)
		return order;
	return (a->no > b->no) - (a->no < b->no);
}

/*
 * Each taking back is of the oldest row of its id that is still there: revisions of an id replace
 * each other one by one, a group at a time. Order inside a group does not matter, and time says
 * nothing: a row is taken back at the time it counted at, which need not be its stamp.
 * Both sorted. Returns how many stay, or UINT32_MAX when there was nothing to take back.
 */
static uint32_t
subtract_links(const struct arrival *links, uint32_t count, const struct arrival *taken,
	uint32_t taken_count, struct tl_session_link *kept)
{
	uint32_t kept_count = 0;
	uint32_t taken_idx = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (taken_idx < taken_count && memcmp(taken[taken_idx].link.id, links[i].link.id,
						       sizeof(links[i].link.id)) == 0)
			taken_idx++;
		else
			kept[kept_count++] = links[i].link;
	}
	return taken_idx == taken_count ? kept_count : UINT32_MAX;
}

/* Stored links plus those of the step, less those taken back. */
static enum tl_err
settle_links(struct session_touch *touch, struct tl_arena *arena, struct tl_why *why)
{
	struct tl_session_row *row = &touch->row;
	uint32_t count = row->link_count;
	uint32_t taken_count = 0;
	uint32_t no = touch->link_count; /* the list is newest first */
	size_t capacity = (size_t)count + touch->link_count;
	struct arrival *links = tl_arena_array(arena, capacity, sizeof(*links));
	struct arrival *taken = tl_arena_array(arena, touch->link_count, sizeof(*taken));
	struct tl_session_link *kept = tl_arena_array(arena, capacity, sizeof(*kept));

	if (links == NULL || taken == NULL || kept == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		links[i].link = row->links[i];
	for (const struct session_step_link *step = touch->links; step; step = step->next, no--) {
		struct arrival arrival = {.link = step->link, .no = no};

		if (step->sign > 0)
			links[count++] = arrival;
		else
			taken[taken_count++] = arrival;
	}
	qsort(links, count, sizeof(*links), compare_arrivals);
	qsort(taken, taken_count, sizeof(*taken), compare_arrivals);
	count = subtract_links(links, count, taken, taken_count, kept);
	if (count == UINT32_MAX)
		return tl_fail(why, TL_ESTORAGE_CORRUPT,
			"org %u session %u: a link is taken back that is not there", touch->org,
			touch->session);
	qsort(kept, count, sizeof(*kept), compare_links);
	row->links = kept;
	row->link_count = count;
	return TL_OK;
}

static int
compare_event_prs(const void *a_arg, const void *b_arg)
{
	const struct tl_pr *a = &((const struct tl_session_event_pr *)a_arg)->pr;
	const struct tl_pr *b = &((const struct tl_session_event_pr *)b_arg)->pr;

	if (a->repo != b->repo)
		return a->repo < b->repo ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

static enum tl_err
settle_event_prs(struct session_touch *touch, struct tl_arena *arena, struct tl_why *why)
{
	struct tl_session_row *row = &touch->row;
	uint32_t all_count = row->event_pr_count;
	uint32_t count = 0;
	struct tl_session_event_pr *all =
		tl_arena_array(arena, (size_t)all_count + touch->pr_count, sizeof(*all));

	if (all == NULL)
		return TL_ENOMEM;
	if (all_count > 0)
		memcpy(all, row->event_prs, all_count * sizeof(*all));
	for (const struct session_step_pr *step = touch->prs; step != NULL; step = step->next)
		all[all_count++] = step->event_pr;
	qsort(all, all_count, sizeof(*all), compare_event_prs);
	for (uint32_t i = 0; i < all_count;) {
		struct tl_session_event_pr sum = all[i++];

		while (i < all_count && compare_event_prs(&sum, &all[i]) == 0)
			sum.event_count += all[i++].event_count;
		if (sum.event_count < 0)
			return tl_fail(why, TL_ESTORAGE_CORRUPT,
				"org %u session %u: more events with PR %u taken back than there "
				"were",
				touch->org, touch->session, sum.pr.number);
		if (sum.event_count > 0)
			all[count++] = sum;
	}
	row->event_prs = all;
	row->event_pr_count = count;
	return TL_OK;
}

struct named_pr {
	struct tl_pr pr;
	struct tl_slice name;
};

/* The text is valid until the names are forgotten, which happens between sessions only. */
static enum tl_err
repo_name(struct sessions *sessions, uint32_t org, uint32_t repo, struct tl_slice *name_out,
	struct tl_why *why)
{
	uint32_t ids[2] = {org, repo};
	struct tl_slice key = tl_slice_of(ids, sizeof(ids));
	struct tl_slice *name;
	uint64_t value;
	enum tl_err err;

	if (tl_map_get(sessions->names, key, &value)) {
		*name_out = *(const struct tl_slice *)(uintptr_t)value;
		return TL_OK;
	}
	err = tl_dict_name(sessions->store, NULL, org, TL_NAME_REPO, repo, &sessions->bytes, why);
	if (err == TL_ENOT_FOUND)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "org %u: repo %u has no name", org, repo);
	if (err)
		return err;
	name = tl_arena_alloc(&sessions->name_arena, sizeof(*name));
	if (name == NULL)
		return TL_ENOMEM;
	*name = tl_arena_copy(&sessions->name_arena, tl_buf_slice(&sessions->bytes));
	if (name->data == NULL)
		return TL_ENOMEM;
	*name_out = *name;
	return tl_map_put(sessions->names, key, (uintptr_t)name);
}

static void
bound_names(struct sessions *sessions, size_t more)
{
	if (tl_map_count(sessions->names) + more < NAMES_MAX &&
		sessions->name_arena.used_bytes + more * (TL_REPO_BYTES_MAX + 64) <
			NAME_ARENA_BYTES_MAX)
		return;
	tl_map_clear(sessions->names);
	tl_arena_reset(&sessions->name_arena);
}

static int
compare_named_prs(const void *a_arg, const void *b_arg)
{
	const struct named_pr *a = a_arg;
	const struct named_pr *b = b_arg;
	int order = tl_slice_cmp(a->name, b->name);

	if (order != 0)
		return order;
	return (a->pr.number > b->pr.number) - (a->pr.number < b->pr.number);
}

/*
 * Every resolved PR of links and events, once, by (repo name, number): the first of them, as many
 * as a session may have. The row keeps all that was named, so which they are follows from the set.
 */
static enum tl_err
settle_prs(struct sessions *sessions, struct session_touch *touch, struct tl_arena *arena,
	struct tl_why *why)
{
	struct tl_session_row *row = &touch->row;
	size_t capacity = (size_t)row->link_count + row->event_pr_count;
	struct named_pr *named = tl_arena_array(arena, capacity, sizeof(*named));
	struct tl_pr *prs = tl_arena_array(arena, capacity, sizeof(*prs));
	uint32_t all_count = 0;
	uint32_t count = 0;

	if (named == NULL || prs == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < row->link_count; i++) {
		const struct tl_session_link *link = &row->links[i];
		uint32_t repo = link->repo != 0 ? link->repo : row->repo;

		if (link->op == TL_LINK_ADD_PR && repo != 0)
			named[all_count++].pr = (struct tl_pr){repo, link->number};
	}
	for (uint32_t i = 0; i < row->event_pr_count; i++)
		named[all_count++].pr = row->event_prs[i].pr;
	bound_names(sessions, all_count);
	for (uint32_t i = 0; i < all_count; i++) {
		enum tl_err err =
			repo_name(sessions, touch->org, named[i].pr.repo, &named[i].name, why);

		if (err)
			return err;
	}
	qsort(named, all_count, sizeof(*named), compare_named_prs);
	for (uint32_t i = 0; i < all_count && count < TL_SESSION_PULLS_MAX; i++) {
		if (i == 0 || compare_named_prs(&named[i - 1], &named[i]) != 0)
			prs[count++] = named[i].pr;
	}
	row->prs = prs;
	row->pr_count = count;
	return TL_OK;
}

/* Links are sorted, so the last of its kind wins. */
static void
settle_repo_and_name(struct tl_session_row *row)
{
	row->repo = 0;
	row->name = 0;
	for (uint32_t i = 0; i < row->link_count; i++) {
		if (row->links[i].op == TL_LINK_SET_REPO)
			row->repo = row->links[i].repo;
		if (row->links[i].op == TL_LINK_SET_NAME)
			row->name = row->links[i].value;
	}
}

static int
compare_touches(const void *a_arg, const void *b_arg)
{
	const struct session_touch *a = *(struct session_touch *const *)a_arg;
	const struct session_touch *b = *(struct session_touch *const *)b_arg;

	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	return (a->session > b->session) - (a->session < b->session);
}

enum tl_err
sessions_sort(struct sessions *sessions, struct tl_arena *arena)
{
	struct session_touch **sorted =
		tl_arena_array(arena, sessions->count, sizeof(struct session_touch *));
	struct session_touch **tail = &sessions->list;
	uint32_t count = 0;

	if (sorted == NULL)
		return TL_ENOMEM;
	for (struct session_touch *touch = sessions->list; touch != NULL; touch = touch->next)
		sorted[count++] = touch;
	qsort(sorted, count, sizeof(struct session_touch *), compare_touches);
	for (uint32_t i = 0; i < count; i++) {
		*tail = sorted[i];
		tail = &sorted[i]->next;
	}
	*tail = NULL;
	return TL_OK;
}

static enum tl_err
load(struct sessions *sessions, struct tl_arena *arena, struct session_touch *touch,
	struct tl_why *why)
{
	struct cache_key key = cache_key_session(touch->org, touch->session);
	struct tl_session_row *row = &touch->row;
	struct tl_slice value;
	enum tl_err err;

	tl_session_row_init(row);
	err = cache_get(sessions->cache, &key, &sessions->bytes, &value, why);
	if (err == TL_ENOT_FOUND)
		return TL_OK;
	if (err)
		return err;
	err = tl_session_row_decode(value, arena, row);
	if (err)
		return tl_fail(why, err, "org %u session %u: %s", touch->org, touch->session,
			tl_err_text(err));
	touch->is_stored = true;
	touch->repo_before = row->repo;
	touch->prs_before = row->prs;
	touch->pr_count_before = row->pr_count;
	touch->buckets_before = row->buckets;
	touch->bucket_count_before = touch->bucket_capacity = row->bucket_count;
	return TL_OK;
}

static void
settle_times(struct session_touch *touch)
{
	struct tl_session_row *row = &touch->row;

	if (touch->first_ms < row->first_ms)
		row->first_ms = touch->first_ms;
	if (touch->last_ms == INT64_MIN || touch->last_ms < row->last_ms)
		return;
	touch->is_tied = touch->last_ms == row->last_ms &&
			 (touch->member != row->member || touch->agent != row->agent);
	row->last_ms = touch->last_ms;
	row->member = touch->member;
	row->agent = touch->agent;
}

enum tl_err
sessions_settle(struct sessions *sessions, struct tl_arena *arena, struct session_touch *touch,
	struct tl_why *why)
{
	struct tl_session_row *row = &touch->row;
	enum tl_err err;

	if (touch->session == 0)
		return TL_OK;
	err = load(sessions, arena, touch, why);
	if (err)
		return err;
	settle_times(touch);
	if (touch->links == NULL && touch->prs == NULL)
		return TL_OK;
	err = settle_links(touch, arena, why);
	if (!err)
		err = settle_event_prs(touch, arena, why);
	if (err)
		return err;
	settle_repo_and_name(row);
	err = settle_prs(sessions, touch, arena, why);
	if (err)
		return err;
	touch->is_moved = row->repo != touch->repo_before;
	touch->has_new_prs = row->pr_count != touch->pr_count_before;
	for (uint32_t i = 0; !touch->has_new_prs && i < row->pr_count; i++)
		touch->has_new_prs = row->prs[i].repo != touch->prs_before[i].repo ||
				     row->prs[i].number != touch->prs_before[i].number;
	return TL_OK;
}

/* The index of the first bucket that is not below bucket_no. */
static uint32_t
bucket_place(const struct tl_session_row *row, int64_t bucket_no)
{
	uint32_t low = 0;
	uint32_t high = row->bucket_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (row->buckets[middle] < bucket_no)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum tl_err
sessions_add_bucket(struct session_touch *touch, struct tl_arena *arena, int64_t bucket_no)
{
	struct tl_session_row *row = &touch->row;
	uint32_t place = bucket_place(row, bucket_no);

	if (place < row->bucket_count && row->buckets[place] == bucket_no)
		return TL_OK;
	/* The array before stays as it was: it says where rows were before this step. */
	if (row->bucket_count == touch->bucket_capacity || row->buckets == touch->buckets_before) {
		uint32_t capacity = row->bucket_count * 2 + 4;
		int64_t *buckets = tl_arena_array(arena, capacity, sizeof(*buckets));

		if (buckets == NULL)
			return TL_ENOMEM;
		if (row->bucket_count > 0)
			memcpy(buckets, row->buckets, row->bucket_count * sizeof(*buckets));
		row->buckets = buckets;
		touch->bucket_capacity = capacity;
	}
	memmove(row->buckets + place + 1, row->buckets + place,
		(row->bucket_count - place) * sizeof(*row->buckets));
	row->buckets[place] = bucket_no;
	row->bucket_count++;
	return TL_OK;
}

void
sessions_drop_bucket(struct session_touch *touch, int64_t bucket_no)
{
	struct tl_session_row *row = &touch->row;
	uint32_t place = bucket_place(row, bucket_no);

	if (place == row->bucket_count || row->buckets[place] != bucket_no)
		return;
	memmove(row->buckets + place, row->buckets + place + 1,
		(row->bucket_count - place - 1) * sizeof(*row->buckets));
	row->bucket_count--;
}

bool
sessions_is_lost(const struct session_touch *touch)
{
	return touch->is_tied || (touch->taken_last_ms != INT64_MIN &&
					 (touch->taken_first_ms <= touch->row.first_ms ||
						 touch->taken_last_ms >= touch->row.last_ms));
}

static bool
is_empty(const struct tl_session_row *row)
{
	return row->link_count == 0 && row->event_pr_count == 0 && row->bucket_count == 0 &&
	       tl_totals_is_zero(&row->totals);
}

void
sessions_put(struct sessions *sessions, const struct session_touch *touch, struct tl_buf *value,
	struct tl_write *write)
{
	struct cache_key key = cache_key_session(touch->org, touch->session);

	if (is_empty(&touch->row)) {
		if (touch->is_stored)
			cache_delete(sessions->cache, &key, write);
		return;
	}
	tl_buf_reset(value);
	tl_session_row_encode(&touch->row, value);
	cache_put(sessions->cache, &key, tl_buf_slice(value), write);
}
