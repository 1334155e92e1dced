#include "query/leases.h"

#include <pthread.h>
#include <stdlib.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"

struct leases {
	_Atomic uint32_t count;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	struct lease list[LEASES_MAX]; /* no 0: free */
};

enum tl_err
leases_new(struct leases **leases_out)
{
	struct leases *leases = calloc(1, sizeof(*leases));

	if (leases == NULL)
		return TL_ENOMEM;
	pthread_mutex_init(&leases->mtx, NULL);
	*leases_out = leases;
	return TL_OK;
}

/* With the lock held. */
static void
drop(struct leases *leases, struct lease *lease)
{
	tl_view_unpin(lease->view);
	*lease = (struct lease){.no = 0};
	leases->count--;
}

void
leases_free(struct leases *leases)
{
	if (leases == NULL)
		return;
	for (uint32_t i = 0; i < LEASES_MAX; i++) {
		if (leases->list[i].no != 0)
			drop(leases, &leases->list[i]);
	}
	pthread_mutex_destroy(&leases->mtx);
	free(leases);
}

static void
expire(struct leases *leases, int64_t now_us)
{
	for (uint32_t i = 0; i < LEASES_MAX; i++) {
		struct lease *lease = &leases->list[i];

		if (lease->no != 0 && lease->use_count == 0 &&
			(now_us - lease->left_us > LEASE_IDLE_MS * 1000 ||
				now_us - lease->opened_us > LEASE_LIFE_MS * 1000))
			drop(leases, lease);
	}
}

void
leases_expire(struct leases *leases)
{
	if (leases->count == 0)
		return;
	pthread_mutex_lock(&leases->mtx);
	expire(leases, tl_clock_mono_us());
	pthread_mutex_unlock(&leases->mtx);
}

static struct lease *
find(struct leases *leases, uint64_t no)
{
	for (uint32_t i = 0; i < LEASES_MAX; i++) {
		if (leases->list[i].no == no)
			return &leases->list[i];
	}
	return NULL;
}

enum tl_err
leases_open(struct leases *leases, struct tl_store *store, const struct tl_caller *caller,
	const struct tl_window *window, int64_t now_ms, struct lease **lease_out,
	struct tl_why *why)
{
	struct tl_view *view = tl_view_pin(store);
	struct lease *lease;
	uint64_t no;

	tl_random((uint8_t *)&no, sizeof(no));
	pthread_mutex_lock(&leases->mtx);
	expire(leases, tl_clock_mono_us());
	lease = find(leases, 0);
	if (lease != NULL) {
		*lease = (struct lease){.no = no | 1,
			.org_no = caller->org_no,
			.view = view,
			.window = *window,
			.now_ms = now_ms,
			.use_count = 1,
			.opened_us = tl_clock_mono_us()};
		memcpy(lease->key_id, caller->key_id, sizeof(lease->key_id));
		leases->count++;
	}
	pthread_mutex_unlock(&leases->mtx);
	if (lease == NULL) {
		tl_view_unpin(view);
		return tl_fail(why, TL_EOVERLOADED, "%u exports are under way", LEASES_MAX);
	}
	*lease_out = lease;
	return TL_OK;
}

struct lease *
leases_take(struct leases *leases, const struct tl_caller *caller, uint64_t no)
{
	struct lease *lease;

	pthread_mutex_lock(&leases->mtx);
	lease = no != 0 ? find(leases, no) : NULL;
	if (lease != NULL && (lease->is_over || lease->org_no != caller->org_no ||
				     strcmp(lease->key_id, caller->key_id) != 0))
		lease = NULL;
	if (lease != NULL)
		lease->use_count++;
	pthread_mutex_unlock(&leases->mtx);
	return lease;
}

void
leases_leave(struct leases *leases, struct lease *lease, bool is_over)
{
	if (lease == NULL)
		return;
	pthread_mutex_lock(&leases->mtx);
	lease->use_count--;
	lease->is_over = lease->is_over || is_over;
	lease->left_us = tl_clock_mono_us();
	if (lease->is_over && lease->use_count == 0)
		drop(leases, lease);
	pthread_mutex_unlock(&leases->mtx);
}
