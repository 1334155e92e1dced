/*
 * While both clocks run true, wall - boot is constant: the line. NTP slews it by 0.5 ms a second at
 * most, which the line follows; it moves by less than TL_CLOCK_DRIFT_MS in TL_CLOCK_CALM_MS, so a
 * step, or many small ones, leave it behind and are seen.
 */
#include "schema/base/clock_trust.h"

#include <inttypes.h>
#include <stdio.h>

/* Between two moves of the line: below this a drift is less than a millisecond. */
#define FOLLOW_MS 1000

static int64_t
distance(int64_t a_ms, int64_t b_ms)
{
	return a_ms > b_ms ? a_ms - b_ms : b_ms - a_ms;
}

static int64_t
line_of(const struct tl_clock_reading *reading)
{
	return reading->wall_ms - reading->boot_ms;
}

void
tl_clock_trust_accept(struct tl_clock_trust *trust, const struct tl_clock_reading *reading)
{
	trust->doubt = TL_CLOCK_TRUSTED;
	trust->off_ms = 0;
	trust->line_ms = line_of(reading);
	trust->line_boot_ms = reading->boot_ms;
}

/* How the wall stands to what was received before the start. */
static void
judge_start(struct tl_clock_trust *trust, const struct tl_clock_reading *reading)
{
	int64_t off_ms = reading->wall_ms - trust->received_ms;

	trust->off_ms = off_ms;
	if (reading->is_synchronised || trust->received_ms == 0)
		tl_clock_trust_accept(trust, reading);
	else if (off_ms < -TL_CLOCK_BEHIND_MS)
		trust->doubt = TL_CLOCK_BEHIND;
	else if (off_ms > TL_CLOCK_AHEAD_MS)
		trust->doubt = TL_CLOCK_AHEAD;
	else
		tl_clock_trust_accept(trust, reading);
}

void
tl_clock_trust_start(
	struct tl_clock_trust *trust, const struct tl_clock_reading *reading, int64_t received_ms)
{
	*trust = (struct tl_clock_trust){.received_ms = received_ms};
	judge_start(trust, reading);
}

static void
follow(struct tl_clock_trust *trust, const struct tl_clock_reading *reading)
{
	int64_t passed_ms = reading->boot_ms - trust->line_boot_ms;
	int64_t most_ms;
	int64_t off_ms = line_of(reading) - trust->line_ms;

	if (passed_ms < FOLLOW_MS)
		return;
	if (passed_ms > TL_CLOCK_CALM_MS)
		passed_ms = TL_CLOCK_CALM_MS;
	most_ms = TL_CLOCK_DRIFT_MS * passed_ms / TL_CLOCK_CALM_MS;
	if (off_ms > most_ms)
		off_ms = most_ms;
	if (off_ms < -most_ms)
		off_ms = -most_ms;
	trust->line_ms += off_ms;
	trust->line_boot_ms = reading->boot_ms;
}

/* The wall has left the line, or moved again while it was off. */
static void
step(struct tl_clock_trust *trust, const struct tl_clock_reading *reading)
{
	trust->off_ms = line_of(reading) - trust->line_ms;
	trust->calm_ms = line_of(reading);
	trust->calm_boot_ms = reading->boot_ms;
	trust->doubt = distance(trust->off_ms, 0) <= TL_CLOCK_STEP_MS + TL_CLOCK_DRIFT_MS
			       ? TL_CLOCK_STEPPED
			       : TL_CLOCK_STEPPED_FAR;
}

static bool
is_back(const struct tl_clock_trust *trust, const struct tl_clock_reading *reading)
{
	return distance(line_of(reading), trust->line_ms) <= TL_CLOCK_DRIFT_MS;
}

static void
judge_step(struct tl_clock_trust *trust, const struct tl_clock_reading *reading)
{
	bool is_over;

	if (is_back(trust, reading)) {
		tl_clock_trust_accept(trust, reading);
		return;
	}
	if (distance(line_of(reading), trust->calm_ms) > TL_CLOCK_DRIFT_MS)
		step(trust, reading);
	if (trust->doubt == TL_CLOCK_STEPPED)
		is_over = reading->boot_ms - trust->calm_boot_ms >= TL_CLOCK_CALM_MS;
	else
		is_over = reading->is_synchronised;
	if (is_over)
		tl_clock_trust_accept(trust, reading);
}

enum tl_clock_doubt
tl_clock_trust_judge(struct tl_clock_trust *trust, const struct tl_clock_reading *reading)
{
	switch (trust->doubt) {
	case TL_CLOCK_TRUSTED:
		if (is_back(trust, reading)) {
			follow(trust, reading);
			break;
		}
		step(trust, reading);
		judge_step(trust, reading);
		break;
	case TL_CLOCK_STEPPED:
	case TL_CLOCK_STEPPED_FAR:
		judge_step(trust, reading);
		break;
	case TL_CLOCK_BEHIND:
	case TL_CLOCK_AHEAD:
		judge_start(trust, reading);
		break;
	}
	return trust->doubt;
}

#define SPAN_TEXT_BYTES 32

static void
put_span(int64_t span_ms, char text[SPAN_TEXT_BYTES])
{
	int64_t seconds = distance(span_ms, 0) / 1000;

	if (seconds < 600)
		snprintf(text, SPAN_TEXT_BYTES, "%" PRId64 " s", seconds);
	else if (seconds < 2 * 86400)
		snprintf(text, SPAN_TEXT_BYTES, "%" PRId64 " min", seconds / 60);
	else
		snprintf(text, SPAN_TEXT_BYTES, "%" PRId64 " days", seconds / 86400);
}

void
tl_clock_trust_explain(const struct tl_clock_trust *trust, char *text, size_t text_bytes)
{
	const char *moved = trust->off_ms > 0 ? "ahead" : "back";
	char span[SPAN_TEXT_BYTES];

	put_span(trust->off_ms, span);
	text[0] = '\0';
	switch (trust->doubt) {
	case TL_CLOCK_TRUSTED:
		break;
	case TL_CLOCK_STEPPED:
		snprintf(text, text_bytes,
			"the clock was set %s by %s; it is believed after a minute without "
			"another step, or at once by 'tally accept-clock'",
			moved, span);
		break;
	case TL_CLOCK_STEPPED_FAR:
		snprintf(text, text_bytes,
			"the clock was set %s by %s; set it right or start time synchronisation, "
			"or, if 'date' is right now, type 'tally accept-clock'",
			moved, span);
		break;
	case TL_CLOCK_BEHIND:
		snprintf(text, text_bytes,
			"the clock is %s behind what was received last; set it right or start "
			"time synchronisation, or, if 'date' is right, type 'tally accept-clock'",
			span);
		break;
	case TL_CLOCK_AHEAD:
		snprintf(text, text_bytes,
			"nothing was received for %s by the clock, which nothing keeps "
			"synchronised; if 'date' is right, type 'tally accept-clock'",
			span);
		break;
	}
}
