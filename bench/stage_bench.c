/*
 * Where the processor time of the way in goes: the stages of tallyd one after the other on one
 * thread, without sockets. Their sum is what a daemon cannot do without; made for a profiler that
 * counts instructions, since a count has no noise.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/options.h"
#include "bench/scratch.h"
#include "bench/workload.h"
#include "ingest/commit.h"
#include "rollup/rollup.h"
#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/model/limits.h"
#include "schema/registry/apikey.h"
#include "schema/wire/frame.h"

#define DAY_MS 86400000LL
#define WINDOW_DAYS 90
#define JOBS_MAX 64

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	bool maps;
	int64_t events, group_batches, step_groups, seed;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"where the store gets its directory, stages"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"maps", TL_CONF_FLAG, AT(maps), "false", 0, 0, "batches as maps, not as rows"},
	{"events", TL_CONF_INT, AT(events), "500000", 1000, 100000000, "events"},
	{"group_batches", TL_CONF_INT, AT(group_batches), "14", 1, JOBS_MAX,
		"batches of 1,000 committed together, as under load"},
	{"step_groups", TL_CONF_INT, AT(step_groups), "4", 1, 256, "groups folded together"},
	{"seed", TL_CONF_INT, AT(seed), "20261120", 1, INT64_MAX, "of the workload"},
};

/* One batch on its way. */
struct work {
	struct commit_job job;
	struct admitted admitted;
	struct tl_arena arena;
	struct tl_buf inflated;
};

struct stages {
	struct tl_store *store;
	struct tl_roster *roster;
	struct commit *commit;
	struct rollup *rollup;
	struct tl_map *members;
	struct ingest_settings settings;
	struct ingest_stats stats;
	struct tl_why why;
	char token[TL_TOKEN_BYTES_MAX];
	struct work works[JOBS_MAX];
	int64_t admit_ns, commit_ns, rollup_ns;
};

static int64_t
thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
need(enum tl_err err, const char *what, const struct tl_why *why)
{
	if (err)
		measure_die("%s: %s: %s", what, tl_err_name(err), why->text);
}

static enum tl_err
put_org(struct stages *st, struct tl_edit *edit)
{
	struct tl_credential gateway = {.type = TL_CREDENTIAL_GATEWAY, .name = ""};
	struct tl_org org = {.name = "Bench"};
	enum tl_err err = tl_zone_get(tl_slice_str("UTC"), &org.zone, &st->why);

	if (!err)
		err = tl_edit_put_org(edit, &org, &gateway.org_no);
	if (err)
		return err;
	tl_token_make(TL_CREDENTIAL_GATEWAY, &gateway, st->token);
	return tl_edit_put_credential(edit, &gateway);
}

static void
make_org(struct stages *st)
{
	struct tl_write *write = NULL;
	struct tl_edit *edit = NULL;

	need(tl_write_new(st->store, &write), "write", &st->why);
	need(tl_edit_begin(st->roster, write, &edit), "edit", &st->why);
	need(put_org(st, edit), "org", &st->why);
	need(tl_write_commit(write, TL_SYNC, &st->why), "commit", &st->why);
	tl_edit_publish(edit);
	tl_write_free(write);
}

static void
stages_open(struct stages *st, const char *dir, int64_t now_ms)
{
	struct tl_store_options options = {.dir = dir, .create = true};

	st->settings = (struct ingest_settings){.accept_past_days = 100,
		.retention_days = 400,
		.id_index_bytes_max = (int64_t)2 << 30,
		.queue_bytes_max = 64 << 20};
	need(tl_crypt_init(), "crypt", &st->why);
	need(tl_store_open(&options, &st->store, &st->why), "store", &st->why);
	need(tl_roster_open(st->store, &st->roster, &st->why), "registry", &st->why);
	make_org(st);
	need(commit_open(st->store, &st->settings, now_ms, &st->commit, &st->why), "journal",
		&st->why);
	need(commit_attach(st->commit, st->store, st->roster, NULL, &st->stats, &st->why), "commit",
		&st->why);
	need(rollup_new(st->store, &st->rollup, &st->why), "rollup", &st->why);
	need(tl_map_new(65536, &st->members), "map", &st->why);
	for (size_t i = 0; i < JOBS_MAX; i++) {
		tl_arena_init(&st->works[i].arena, (size_t)16 << 20);
		tl_buf_init(&st->works[i].inflated, 0);
		tl_buf_init(&st->works[i].job.reply, TL_REPLY_BYTES_MAX);
	}
}

static void
stages_close(struct stages *st)
{
	for (size_t i = 0; i < JOBS_MAX; i++) {
		tl_buf_fini(&st->works[i].job.reply);
		tl_buf_fini(&st->works[i].inflated);
		tl_arena_fini(&st->works[i].arena);
	}
	tl_map_free(st->members);
	rollup_free(st->rollup);
	commit_free(st->commit);
	tl_roster_free(st->roster);
	tl_store_close(st->store);
}

static void
admit(struct stages *st, struct work *work, struct tl_slice message, int64_t now_ms)
{
	const struct tl_registry *registry = tl_registry_pin(st->roster);
	struct admit_rules rules = {.now_ms = now_ms,
		.accept_past_days = st->settings.accept_past_days,
		.retention_days = st->settings.retention_days,
		.members = st->members};
	struct tl_slice map;

	tl_arena_reset(&work->arena);
	tl_buf_reset(&work->job.reply);
	need(tl_frame_open(message, TL_FRAME_BYTES_MAX, &work->inflated, &map, &st->why), "frame",
		&st->why);
	need(admit_batch(map, registry, &rules, &work->arena, &work->admitted, &st->why), "admit",
		&st->why);
	tl_registry_unpin(registry);
	work->job.is_command = false;
	work->job.admitted = &work->admitted;
}

static void
push_group(struct stages *st, const struct workload_batch *batch, uint32_t count, int64_t now_ms)
{
	struct commit_job *jobs[JOBS_MAX];
	int64_t start_ns = thread_ns();

	for (uint32_t i = 0; i < count; i++) {
		admit(st, &st->works[i], batch[i].bytes, now_ms);
		jobs[i] = &st->works[i].job;
	}
	st->admit_ns += thread_ns() - start_ns;
	start_ns = thread_ns();
	need(commit_group(st->commit, jobs, count, now_ms, &st->why), "commit", &st->why);
	st->commit_ns += thread_ns() - start_ns;
}

static void
fold(struct stages *st)
{
	int64_t start_ns = thread_ns();
	bool folded = true;

	while (folded)
		need(rollup_step(st->rollup, commit_group_no(st->commit), &folded, &st->why),
			"rollup", &st->why);
	st->rollup_ns += thread_ns() - start_ns;
}

/* Not inlined, so that a profiler can be told to look at nothing else. */
__attribute__((noinline)) static void
push_all(struct stages *st, const struct settings *s, const struct workload_batches *batches,
	int64_t now_ms)
{
	uint32_t per_group = (uint32_t)s->group_batches;
	int64_t groups = 0;

	for (uint32_t i = 0; i < batches->count; i += per_group) {
		uint32_t left = batches->count - i;

		push_group(st, &batches->batch[i], left < per_group ? left : per_group, now_ms);
		if (++groups % s->step_groups == 0)
			fold(st);
	}
	fold(st);
}

/* Each day's family is made before the clock runs, as in a daemon that lives. */
static void
open_days(struct stages *st, const struct workload_shape *shape, int64_t now_ms)
{
	struct workload_batch batch = {0};
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	workload_put_days(shape, st->token, &buf);
	batch.bytes = tl_buf_slice(&buf);
	push_group(st, &batch, 1, now_ms);
	fold(st);
	tl_buf_fini(&buf);
	st->admit_ns = st->commit_ns = st->rollup_ns = 0;
}

static void
print(const char *name, int64_t ns, double events)
{
	struct measure measure = {0};

	measure_add(&measure, (double)ns / 1e3 / events);
	measure_print(name, &measure, "CPU-s/M", (struct measure_goal){0});
}

static void
run(struct stages *st, const struct settings *s, int64_t now_ms)
{
	struct workload_shape shape = {.seed = (uint64_t)s->seed,
		.org_count = 1,
		.event_count = (uint32_t)s->events,
		.first_ms = now_ms - WINDOW_DAYS * DAY_MS,
		.end_ms = now_ms};
	struct workload_batches batches;
	struct workload *workload;
	int64_t start_ns, all_ns;

	open_days(st, &shape, now_ms);
	workload = workload_new(&shape);
	workload_encode(workload, st->token, NULL,
		&(struct workload_cut){.form = s->maps ? WORKLOAD_MAPS : WORKLOAD_ROWS,
			.events_min = 1000,
			.events_max = 1000,
			.count = UINT32_MAX},
		&batches);
	workload_free(workload);
	start_ns = measure_cpu_ns(getpid());
	push_all(st, s, &batches, now_ms);
	all_ns = measure_cpu_ns(getpid()) - start_ns;
	measure_title("the stages, on one thread");
	print("stage_admit", st->admit_ns, (double)batches.event_count);
	print("stage_commit", st->commit_ns, (double)batches.event_count);
	print("stage_rollup", st->rollup_ns, (double)batches.event_count);
	print("stage_background", all_ns - st->admit_ns - st->commit_ns - st->rollup_ns,
		(double)batches.event_count);
	workload_batches_fini(&batches);
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "stage_bench",
		.summary = "Measures the stages of the way in, without sockets.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	static struct stages st;
	char dir[TL_CONF_STRING_BYTES + 8];
	struct settings s;
	int64_t now_ms;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	snprintf(dir, sizeof(dir), "%s/stages", s.scratch);
	scratch_remove(dir);
	now_ms = tl_clock_wall_ms(tl_clock_system());
	stages_open(&st, dir, now_ms);
	run(&st, &s, now_ms);
	stages_close(&st);
	scratch_remove(dir);
	return 0;
}
