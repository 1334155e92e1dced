#include "schema/base/rate.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "schema/base/crypt.h"

#define WAYS 4u /* slots a key may be in */

struct slot {
	uint64_t print; /* of the key; 0: free */
	int64_t start_ms;
	uint32_t count;
};

struct tl_rate {
	/* fixed after new */
	uint32_t count_max;
	int64_t window_ms;
	uint32_t slot_count;
	uint8_t seed[16];

	/* guarded by mtx */
	pthread_mutex_t mtx;
	struct slot *slots;
};

enum tl_err
tl_rate_new(uint32_t count_max, int64_t window_ms, uint32_t slot_count, struct tl_rate **rate_out)
{
	struct tl_rate *rate = calloc(1, sizeof(*rate));

	assert(slot_count >= WAYS && (slot_count & (slot_count - 1)) == 0);
	if (rate == NULL)
		return TL_ENOMEM;
	rate->slots = calloc(slot_count, sizeof(*rate->slots));
	if (rate->slots == NULL) {
		free(rate);
		return TL_ENOMEM;
	}
	rate->count_max = count_max;
	rate->window_ms = window_ms;
	rate->slot_count = slot_count;
	tl_random(rate->seed, sizeof(rate->seed));
	pthread_mutex_init(&rate->mtx, NULL);
	*rate_out = rate;
	return TL_OK;
}

void
tl_rate_free(struct tl_rate *rate)
{
	if (rate == NULL)
		return;
	pthread_mutex_destroy(&rate->mtx);
	free(rate->slots);
	free(rate);
}

/* The slot of the key; or of the window that began first among those it may be in. */
static struct slot *
slot_of(struct tl_rate *rate, uint64_t print)
{
	struct slot *ways = &rate->slots[print & (rate->slot_count - 1) & ~(uint64_t)(WAYS - 1)];
	struct slot *oldest = ways;

	for (uint32_t i = 0; i < WAYS; i++) {
		if (ways[i].print == print)
			return &ways[i];
		if (ways[i].print == 0 || ways[i].start_ms < oldest->start_ms)
			oldest = &ways[i];
	}
	return oldest;
}

static int64_t
judge(struct tl_rate *rate, struct tl_slice key, int64_t now_ms, uint32_t more)
{
	uint64_t print = tl_siphash(rate->seed, key) | 1u << 31; /* never 0 */
	int64_t left_ms = 0;
	struct slot *slot;

	pthread_mutex_lock(&rate->mtx);
	slot = slot_of(rate, print);
	if (slot->print != print || now_ms - slot->start_ms >= rate->window_ms) {
		if (more > 0)
			*slot = (struct slot){.print = print, .start_ms = now_ms, .count = more};
	} else {
		if (slot->count >= rate->count_max)
			left_ms = rate->window_ms - (now_ms - slot->start_ms);
		else
			slot->count += more;
	}
	pthread_mutex_unlock(&rate->mtx);
	return left_ms;
}

int64_t
tl_rate_count(struct tl_rate *rate, struct tl_slice key, int64_t now_ms)
{
	return judge(rate, key, now_ms, 1);
}

int64_t
tl_rate_look(struct tl_rate *rate, struct tl_slice key, int64_t now_ms)
{
	return judge(rate, key, now_ms, 0);
}
