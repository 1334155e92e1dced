/*
 * What the events of ingest_bench take on disk and in memory, and how long a start with them takes.
 * The first start replays the write-ahead log and writes its content to tables, so sizes are read
 * after it; the starts after that have little to replay.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/disk.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/scratch.h"

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char tallyd[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	int64_t rounds;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"its directory data is what ingest_bench left"},
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"rounds", TL_CONF_INT, AT(rounds), "3", 1, MEASURE_ROUNDS_MAX, "further starts"},
};

#define LIVE_GOAL_BYTES 40
#define DERIVED_GOAL_BYTES 6
#define START_GOAL_MS 2000

struct figures {
	struct measure first_start, start, rss, id_memory;
	struct measure all, live, raw, names, rest, derived, log, used;
};

static void
add_sizes(struct figures *f, const char *dir, double events)
{
	struct disk_sizes sizes;

	disk_read(dir, &sizes);
	measure_add(&f->raw, (double)sizes.raw_bytes / events);
	measure_add(&f->names, (double)sizes.names_bytes / events);
	measure_add(&f->rest, (double)sizes.rest_bytes / events);
	measure_add(&f->derived, (double)sizes.derived_bytes / events);
	measure_add(&f->log, (double)sizes.log_bytes / events);
	measure_add(&f->used, (double)sizes.used_bytes / events);
	measure_add(&f->live, (double)disk_kept_bytes(&sizes) / events);
	measure_add(&f->all, (double)(disk_kept_bytes(&sizes) + sizes.derived_bytes) / events);
}

static int64_t
start_and_stop(const struct settings *s, const char *dir, struct measure *start, struct figures *f)
{
	struct scratch scratch;
	struct scratch_stats stats;

	scratch_start(&scratch, s->tallyd, dir);
	measure_add(start, (double)scratch.start_ns / 1e6);
	scratch_stats(&scratch, &stats);
	measure_add(&f->rss, (double)measure_rss_bytes(scratch.pid) / (1 << 20));
	if (stats.ids > 0)
		measure_add(&f->id_memory, (double)stats.id_bytes / (double)stats.ids);
	scratch_stop(&scratch);
	return stats.ids;
}

static void
print(const struct figures *f)
{
	const struct measure_goal none = {0};

	measure_title("disk and memory");
	measure_print("disk_live", &f->live, "B/event",
		(struct measure_goal){MEASURE_AT_MOST, LIVE_GOAL_BYTES});
	measure_print("disk_raw", &f->raw, "B/event", none);
	measure_print("disk_names", &f->names, "B/event", none);
	measure_print("disk_rest", &f->rest, "B/event", none);
	measure_print("disk_derived", &f->derived, "B/event",
		(struct measure_goal){MEASURE_AT_MOST, DERIVED_GOAL_BYTES});
	measure_print("disk_all", &f->all, "B/event", none);
	measure_print("disk_log", &f->log, "B/event", none);
	measure_print("disk_du", &f->used, "B/event", none);
	measure_print("memory_of_ids", &f->id_memory, "B/event", none);
	measure_print("rss_after_start", &f->rss, "MiB", none);
	measure_print("start_after_ingest", &f->first_start, "ms", none);
	measure_print(
		"start", &f->start, "ms", (struct measure_goal){MEASURE_AT_MOST, START_GOAL_MS});
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "disk_bench",
		.summary = "Measures disk, memory and starts with the data of ingest_bench.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	char dir[TL_CONF_STRING_BYTES + 8];
	struct figures figures = {0};
	struct settings s;
	int64_t events;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	snprintf(dir, sizeof(dir), "%s/data", s.scratch);
	events = start_and_stop(&s, dir, &figures.first_start, &figures);
	if (events == 0)
		measure_die("%s holds no events; run ingest_bench first", dir);
	add_sizes(&figures, dir, (double)events);
	for (int64_t i = 0; i < s.rounds; i++)
		start_and_stop(&s, dir, &figures.start, &figures);
	print(&figures);
	return 0;
}
