/*
 * The wall clock together with whether it may be believed. Whoever decides by the time of day about
 * what is stored reads it here; the gate is closed while there is doubt.
 */
#ifndef TL_BASE_CLOCK_WATCH_H
#define TL_BASE_CLOCK_WATCH_H

#include "schema/base/clock.h"
#include "schema/base/clock_trust.h"
#include "schema/base/err.h"
#include "schema/base/gate.h"

struct tl_clock_watch;

/* received_ms: what the store received last, 0: nothing. clock and gate outlive the watch. */
TL_MUST enum tl_err tl_clock_watch_new(const struct tl_clock *clock, struct tl_gate *gate,
	int64_t received_ms, struct tl_clock_watch **watch_out);
void tl_clock_watch_free(struct tl_clock_watch *watch);

/*
 * Read and judge; *wall_ms_out is the very reading that was judged. TL_ECLOCK_UNTRUSTED while it
 * must not decide anything. Any thread.
 */
TL_MUST enum tl_err tl_clock_watch_read(struct tl_clock_watch *watch, int64_t *wall_ms_out);

/* Why it is not trusted, with what to type; empty when it is. Judges anew. Any thread. */
enum tl_clock_doubt tl_clock_watch_explain(
	struct tl_clock_watch *watch, char *text, size_t text_bytes);

/* The operator's word. What the doubt was. Any thread. */
enum tl_clock_doubt tl_clock_watch_accept(struct tl_clock_watch *watch);

#endif
