/*
 * The store holds one pin on the current view; a publication hands that pin on. Whoever lets go
 * last releases the snapshot, so an old view lives as long as its slowest request.
 */
#include "schema/store/view.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/store/store_private.h"

#define ORGS_INITIAL 16u

/* Under view_mtx. NULL when no publication changed the org. */
static struct tl_org_changes *
find_changes(struct tl_store *store, uint32_t org)
{
	uint8_t key[4];
	uint64_t idx;

	tl_put_be32(key, org);
	if (store->org_idx == NULL ||
		!tl_map_get(store->org_idx, tl_slice_of(key, sizeof(key)), &idx))
		return NULL;
	return &store->org_changes[idx];
}

/* Under view_mtx; the org is new. */
static enum tl_err
add_org(struct tl_store *store, uint32_t org)
{
	uint8_t key[4];
	enum tl_err err;

	tl_put_be32(key, org);
	if (store->org_idx == NULL) {
		err = tl_map_new(SIZE_MAX, &store->org_idx);
		if (err)
			return err;
	}
	if (store->org_count == store->org_capacity) {
		size_t capacity = store->org_capacity > 0 ? store->org_capacity * 2 : ORGS_INITIAL;
		struct tl_org_changes *grown =
			realloc(store->org_changes, capacity * sizeof(*grown));

		if (grown == NULL)
			return TL_ENOMEM;
		store->org_changes = grown;
		store->org_capacity = capacity;
	}
	err = tl_map_put(store->org_idx, tl_slice_of(key, sizeof(key)), store->org_count);
	if (err)
		return err;
	store->org_changes[store->org_count++] = (struct tl_org_changes){.count = 0};
	return TL_OK;
}

/* The idx-th oldest of those kept. */
static struct tl_org_change *
kept_change(struct tl_org_changes *changes, uint32_t idx)
{
	return &changes->kept[(changes->first_idx + idx) % TL_CHANGES_KEPT];
}

static void
note_change(struct tl_org_changes *changes, uint64_t generation, int64_t low_ms)
{
	struct tl_org_change *newest =
		changes->count > 0 ? kept_change(changes, changes->count - 1) : NULL;

	if (newest != NULL && newest->generation == generation) {
		newest->low_ms = low_ms < newest->low_ms ? low_ms : newest->low_ms;
		return;
	}
	if (changes->count == TL_CHANGES_KEPT) {
		changes->forgotten = kept_change(changes, 0)->generation;
		changes->first_idx = (changes->first_idx + 1) % TL_CHANGES_KEPT;
		changes->count--;
	}
	changes->count++;
	*kept_change(changes, changes->count - 1) =
		(struct tl_org_change){.generation = generation, .low_ms = low_ms};
}

/* Memory first, so that a publication is noted whole. Under view_mtx. */
static enum tl_err
make_room(struct tl_store *store, const struct tl_change *changes, size_t change_count)
{
	for (size_t i = 0; i < change_count; i++) {
		enum tl_err err;

		if (find_changes(store, changes[i].org) != NULL)
			continue;
		err = add_org(store, changes[i].org);
		if (err)
			return err;
	}
	return TL_OK;
}

static struct tl_view *
make_view(struct tl_store *store, uint64_t group_no, uint64_t seq)
{
	struct tl_view *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return NULL;
	view->store = store;
	view->group_no = group_no;
	view->seq = seq;
	view->pin_count = 1;
	view->snapshot = rocksdb_create_snapshot(store->db);
	view->read_options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(view->read_options, 1);
	rocksdb_readoptions_set_snapshot(view->read_options, view->snapshot);
	return view;
}

static void
free_view(struct tl_view *view)
{
	rocksdb_readoptions_destroy(view->read_options);
	rocksdb_release_snapshot(view->store->db, view->snapshot);
	free(view);
}

enum tl_err
tl_view_publish(struct tl_store *store, uint64_t group_no, uint64_t seq,
	const struct tl_change *changes, size_t change_count, struct tl_why *why)
{
	struct tl_view *view = make_view(store, group_no, seq);
	struct tl_view *before;
	enum tl_err err;

	if (view == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for a view");
	pthread_mutex_lock(&store->view_mtx);
	err = make_room(store, changes, change_count);
	if (err) {
		pthread_mutex_unlock(&store->view_mtx);
		free_view(view);
		return tl_fail(why, err, "no memory for the changes of a view");
	}
	store->generation++;
	view->generation = store->generation;
	for (size_t i = 0; i < change_count; i++)
		note_change(
			find_changes(store, changes[i].org), view->generation, changes[i].low_ms);
	before = store->view;
	store->view = view;
	store->view_count++;
	pthread_mutex_unlock(&store->view_mtx);
	tl_view_unpin(before);
	return TL_OK;
}

struct tl_view *
tl_view_pin(struct tl_store *store)
{
	struct tl_view *view;

	pthread_mutex_lock(&store->view_mtx);
	view = store->view;
	if (view != NULL)
		view->pin_count++;
	pthread_mutex_unlock(&store->view_mtx);
	return view;
}

void
tl_view_unpin(struct tl_view *view)
{
	struct tl_store *store;
	bool last;

	if (view == NULL)
		return;
	store = view->store;
	pthread_mutex_lock(&store->view_mtx);
	assert(view->pin_count > 0);
	view->pin_count--;
	last = view->pin_count == 0;
	pthread_mutex_unlock(&store->view_mtx);
	if (!last)
		return;
	free_view(view);
	/* Counted down only now: a store must not close before the snapshot is released. */
	pthread_mutex_lock(&store->view_mtx);
	store->view_count--;
	pthread_mutex_unlock(&store->view_mtx);
}

void
tl_views_close(struct tl_store *store)
{
	tl_view_unpin(store->view);
	store->view = NULL;
	assert(store->view_count == 0);
	tl_map_free(store->org_idx);
	free(store->org_changes);
}

uint64_t
tl_view_group_no(const struct tl_view *view)
{
	return view->group_no;
}

uint64_t
tl_view_seq(const struct tl_view *view)
{
	return view->seq;
}

uint64_t
tl_view_generation(const struct tl_view *view)
{
	return view->generation;
}

/*
 * When all that is kept is later than the view, the answer was forgotten; the view's own number
 * stands for it: no other view has it, so nothing is taken for equal that is not.
 */
uint64_t
tl_view_org_generation(const struct tl_view *view, uint32_t org)
{
	struct tl_store *store = view->store;
	struct tl_org_changes *changes;
	uint64_t generation = 0;

	pthread_mutex_lock(&store->view_mtx);
	changes = find_changes(store, org);
	for (uint32_t i = 0; changes != NULL && i < changes->count; i++) {
		struct tl_org_change *change = kept_change(changes, i);

		if (change->generation <= view->generation)
			generation = change->generation;
	}
	if (generation == 0 && changes != NULL && changes->forgotten > 0)
		generation = changes->forgotten <= view->generation ? changes->forgotten
								    : view->generation;
	pthread_mutex_unlock(&store->view_mtx);
	return generation;
}

int64_t
tl_view_changed_from(const struct tl_view *view, uint32_t org, uint64_t generation)
{
	struct tl_store *store = view->store;
	struct tl_org_changes *changes;
	int64_t low_ms = INT64_MAX;

	if (generation >= view->generation)
		return INT64_MAX;
	pthread_mutex_lock(&store->view_mtx);
	changes = find_changes(store, org);
	for (uint32_t i = 0; changes != NULL && i < changes->count; i++) {
		struct tl_org_change *change = kept_change(changes, i);

		if (change->generation > generation && change->generation <= view->generation &&
			change->low_ms < low_ms)
			low_ms = change->low_ms;
	}
	if (changes != NULL && changes->forgotten > generation)
		low_ms = INT64_MIN;
	pthread_mutex_unlock(&store->view_mtx);
	return low_ms;
}
