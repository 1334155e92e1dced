#include "schema/base/clock_watch.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct tl_clock_watch {
	/* fixed after new */
	const struct tl_clock *clock;
	struct tl_gate *gate;
	/* guarded by mtx, under which the clocks are read, so that judgements come in order */
	pthread_mutex_t mtx;
	struct tl_clock_trust trust;
};

/* Longer between two readings, and what lies between them is not the wall of either. */
#define READING_MS_MAX 50
#define READING_TRIES_MAX 20

/* Both clocks at one moment: who is stopped between the two has seen no step. */
static struct tl_clock_reading
take_reading(const struct tl_clock *clock)
{
	struct tl_clock_reading reading = {0};
	int64_t gap_ms = INT64_MAX;

	for (int i = 0; i < READING_TRIES_MAX && gap_ms > READING_MS_MAX; i++) {
		int64_t before_ms = tl_clock_boot_ms(clock);

		reading.wall_ms = tl_clock_wall_ms(clock);
		reading.boot_ms = tl_clock_boot_ms(clock);
		gap_ms = reading.boot_ms - before_ms;
	}
	return reading;
}

/* Under mtx. */
static void
tell_gate(struct tl_clock_watch *watch)
{
	if (watch->trust.doubt != TL_CLOCK_TRUSTED)
		tl_gate_close(watch->gate, TL_GATE_CLOCK);
	else if (tl_gate_is_closed_for(watch->gate, TL_GATE_CLOCK))
		tl_gate_open(watch->gate, TL_GATE_CLOCK);
}

enum tl_err
tl_clock_watch_new(const struct tl_clock *clock, struct tl_gate *gate, int64_t received_ms,
	struct tl_clock_watch **watch_out)
{
	struct tl_clock_watch *watch = calloc(1, sizeof(*watch));
	struct tl_clock_reading reading = take_reading(clock);

	assert(gate != NULL);
	if (watch == NULL)
		return TL_ENOMEM;
	reading.is_synchronised = tl_clock_is_synchronised(clock);
	watch->clock = clock;
	watch->gate = gate;
	pthread_mutex_init(&watch->mtx, NULL);
	tl_clock_trust_start(&watch->trust, &reading, received_ms);
	tell_gate(watch);
	*watch_out = watch;
	return TL_OK;
}

void
tl_clock_watch_free(struct tl_clock_watch *watch)
{
	if (watch == NULL)
		return;
	pthread_mutex_destroy(&watch->mtx);
	free(watch);
}

/* Under mtx. */
static struct tl_clock_reading
judge(struct tl_clock_watch *watch)
{
	struct tl_clock_reading reading = take_reading(watch->clock);

	/* Only doubt asks the kernel: this runs for every batch. */
	if (watch->trust.doubt != TL_CLOCK_TRUSTED)
		reading.is_synchronised = tl_clock_is_synchronised(watch->clock);
	tl_clock_trust_judge(&watch->trust, &reading);
	tell_gate(watch);
	return reading;
}

enum tl_err
tl_clock_watch_read(struct tl_clock_watch *watch, int64_t *wall_ms_out)
{
	enum tl_clock_doubt doubt;

	pthread_mutex_lock(&watch->mtx);
	*wall_ms_out = judge(watch).wall_ms;
	doubt = watch->trust.doubt;
	pthread_mutex_unlock(&watch->mtx);
	return doubt == TL_CLOCK_TRUSTED ? TL_OK : TL_ECLOCK_UNTRUSTED;
}

enum tl_clock_doubt
tl_clock_watch_explain(struct tl_clock_watch *watch, char *text, size_t text_bytes)
{
	enum tl_clock_doubt doubt;

	pthread_mutex_lock(&watch->mtx);
	judge(watch);
	doubt = watch->trust.doubt;
	tl_clock_trust_explain(&watch->trust, text, text_bytes);
	pthread_mutex_unlock(&watch->mtx);
	return doubt;
}

enum tl_clock_doubt
tl_clock_watch_accept(struct tl_clock_watch *watch)
{
	struct tl_clock_reading reading;
	enum tl_clock_doubt doubt;

	pthread_mutex_lock(&watch->mtx);
	reading = judge(watch);
	doubt = watch->trust.doubt;
	tl_clock_trust_accept(&watch->trust, &reading);
	tell_gate(watch);
	pthread_mutex_unlock(&watch->mtx);
	return doubt;
}
