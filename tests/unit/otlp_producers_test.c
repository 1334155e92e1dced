#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "ingest/otlp/producers.h"

static struct tl_arena arena;
static struct tl_prices *prices;

/* An export's metrics: one sum of one point. */
static struct producers_batch
translate_point(const char *temporality, const char *metric, const char *start, const char *end,
	const char *value, const char *attributes)
{
	struct producers_rules rules = {.prices = prices};
	struct producers_batch batch;
	struct otlp_records records;
	char text[2048];

	snprintf(text, sizeof(text),
		"{\"resourceMetrics\":[{\"resource\":{},\"scopeMetrics\":[{\"metrics\":[{\"name\":"
		"\"claude_code.%s\",\"sum\":{\"aggregationTemporality\":%s,\"isMonotonic\":true,"
		"\"dataPoints\":[{\"startTimeUnixNano\":\"%s000000\",\"timeUnixNano\":\"%s000000\","
		"%s,\"attributes\":[%s]}]}}]}]}]}",
		metric, temporality, start, end, value, attributes);
	assert_int_equal(
		otlp_read(OTLP_METRICS, OTLP_JSON, tl_slice_str(text), &arena, &records, NULL),
		TL_OK);
	assert_int_equal(producers_translate(&records, &rules, &arena, &batch), TL_OK);
	assert_int_equal(batch.event_count + batch.ignored + batch.unreadable, 1);
	return batch;
}

#define LINES "lines_of_code.count"
#define ADDED "{\"key\":\"type\",\"value\":{\"stringValue\":\"added\"}}"
#define SESSION "{\"key\":\"session.id\",\"value\":{\"stringValue\":\"s\"}}"

static struct tl_wire_event
event_of(struct producers_batch batch)
{
	assert_int_equal(batch.event_count, 1);
	return batch.events[0];
}

static void
a_delta_is_known_by_its_interval(void **state)
{
	struct tl_wire_event first =
		event_of(translate_point("1", LINES, "100", "160", "\"asInt\":\"7\"", ADDED));
	struct tl_wire_event again =
		event_of(translate_point("1", LINES, "100", "160", "\"asInt\":7", ADDED));
	struct tl_wire_event next =
		event_of(translate_point("1", LINES, "160", "220", "\"asInt\":7", ADDED));

	(void)state;
	assert_int_equal(first.lines_added, 7);
	assert_int_equal(first.ts_ms, 160);
	assert_int_equal(first.rev, 0);
	assert_memory_equal(first.id, again.id, 16);
	assert_memory_not_equal(first.id, next.id, 16);
}

static void
a_running_total_is_known_by_its_start_and_is_its_own_revision(void **state)
{
	struct tl_wire_event first =
		event_of(translate_point("2", LINES, "100", "160", "\"asInt\":7", ADDED));
	struct tl_wire_event later =
		event_of(translate_point("2", LINES, "100", "220", "\"asInt\":9", ADDED));
	struct tl_wire_event restarted =
		event_of(translate_point("2", LINES, "300", "360", "\"asInt\":2", ADDED));

	(void)state;
	assert_memory_equal(first.id, later.id, 16);
	assert_memory_not_equal(first.id, restarted.id, 16);
	assert_int_equal(first.ts_ms, 100);
	assert_int_equal(later.ts_ms, 100);
	assert_int_equal(first.rev, 7);
	assert_int_equal(later.rev, 9);
	assert_int_equal(later.lines_added, 9);
}

static void
running_time_moves_by_whole_seconds(void **state)
{
	struct tl_wire_event total = event_of(translate_point(
		"2", "active_time.total", "100", "160", "\"asDouble\":12.999", SESSION));
	struct tl_wire_event delta = event_of(translate_point(
		"1", "active_time.total", "100", "160", "\"asDouble\":12.9994", SESSION));

	(void)state;
	assert_int_equal(total.active_ms, 12000);
	assert_int_equal(total.rev, 12);
	assert_int_equal(delta.active_ms, 12999);
	assert_true(tl_slice_eq(total.session, tl_slice_str("s")));
}

static void
attributes_in_any_order_are_the_same_series(void **state)
{
	struct tl_wire_event one = event_of(
		translate_point("1", LINES, "100", "160", "\"asInt\":7", ADDED "," SESSION));
	struct tl_wire_event other = event_of(
		translate_point("1", LINES, "100", "160", "\"asInt\":7", SESSION "," ADDED));

	(void)state;
	assert_memory_equal(one.id, other.id, 16);
}

static void
what_cannot_be_counted_is_said_to_be_so(void **state)
{
	static const struct {
		const char *temporality, *start, *end, *value;
		bool is_ignored;
	} cases[] = {
		{"0", "100", "160", "\"asInt\":7", false},
		{"1", "100", "160", "\"asInt\":-7", false},
		{"1", "100", "160", "\"asDouble\":\"NaN\"", false},
		{"1", "0", "160", "\"asInt\":7", false},
		{"2", "100", "160", "\"asInt\":0", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct producers_batch batch = translate_point(cases[i].temporality, LINES,
			cases[i].start, cases[i].end, cases[i].value, ADDED);

		assert_int_equal(batch.ignored, cases[i].is_ignored);
		assert_int_equal(batch.unreadable, !cases[i].is_ignored);
		assert_true((batch.problem != NULL) == !cases[i].is_ignored);
	}
	assert_int_equal(
		translate_point("1", "token.usage", "1", "2", "\"asInt\":7", ADDED).ignored, 1);
}

static int
set_up(void **state)
{
	(void)state;
	tl_arena_init(&arena, (size_t)1 << 20);
	return tl_prices_new(tl_slice_of("", 0), &prices, NULL);
}

static int
tear_down(void **state)
{
	(void)state;
	tl_prices_free(prices);
	tl_arena_fini(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delta_is_known_by_its_interval),
		cmocka_unit_test(a_running_total_is_known_by_its_start_and_is_its_own_revision),
		cmocka_unit_test(running_time_moves_by_whole_seconds),
		cmocka_unit_test(attributes_in_any_order_are_the_same_series),
		cmocka_unit_test(what_cannot_be_counted_is_said_to_be_so),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
