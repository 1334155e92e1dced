/*
 *   gateways --- rep server -> requests -> workers --+-> jobs -> writer -> replies
 *   operator --- rep server -> controls -> worker  --+-> orders -> order thread -> replies
 *
 * Stop runs along the arrows: close requests and controls (from now on the servers say
 * shutting_down), let the workers empty them, close jobs and orders, let the writer commit and
 * answer what it has, then end the servers.
 */
#include "ingest/ingest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ingest/intake.h"
#include "ingest/refusal.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/model/limits.h"
#include "schema/store/disk.h"

#define REQUESTS_MAX 16384u
#define CONTROLS_MAX 256u
#define CONTROL_BYTES_MAX ((size_t)16 << 20)
#define WORKERS_MAX 64
/* How long the writer waits before it shows that it is alive. */
#define WRITER_WAIT_MS 500
#define GROUP_JOBS_MAX 64u
#define GROUP_ROWS_MAX (TL_GROUP_EVENTS_MAX / 4)

struct ingest {
	/* fixed after start */
	struct ingest_options options;
	struct intake intake;
	struct tl_queue *requests;
	struct tl_queue *controls;
	struct tl_rep_server *gateways;
	struct tl_rep_server *control;
	struct intake_worker workers[WORKERS_MAX + 1]; /* the control socket's too */
	size_t worker_count;
	pthread_t writer;
	bool has_writer;
	pthread_t orderer;
	bool has_orderer;
	_Atomic bool is_stopping;
	/* writer thread only */
	struct commit *commit;
	struct intake_job *carried; /* popped, but belongs into the next group */
	bool has_failed;
	/* any thread */
	struct ingest_stats stats;
};

/* What the writer commits together. */
struct jobs {
	struct intake_job *jobs[GROUP_JOBS_MAX];
	struct commit_job *commits[GROUP_JOBS_MAX];
	size_t count;
	size_t frame_bytes;
	uint32_t row_count;
};

static bool
is_import(const struct intake_job *job)
{
	return !job->commit.is_command && job->admitted.head.import;
}

static void
add_job(struct jobs *group, struct intake_job *job)
{
	group->jobs[group->count] = job;
	group->commits[group->count] = &job->commit;
	group->count++;
	group->frame_bytes += job->frame_bytes;
	if (!job->commit.is_command)
		group->row_count += job->admitted.batch.row_count;
}

static bool
is_full(const struct jobs *group)
{
	return group->count == GROUP_JOBS_MAX || group->row_count >= GROUP_ROWS_MAX ||
	       group->frame_bytes >= TL_GROUP_BYTES_MAX;
}

/*
 * The next group: wait for a job, then take what is there; TL_ETIMEOUT when none came. An import is
 * a group of its own: it may touch as many days as it has events, and a group numbers only so many.
 */
static enum tl_err
take_jobs(struct ingest *ingest, struct jobs *group)
{
	void *popped = ingest->carried;
	enum tl_err err = TL_OK;

	*group = (struct jobs){.count = 0};
	ingest->carried = NULL;
	if (popped == NULL)
		err = tl_queue_pop(ingest->intake.jobs, WRITER_WAIT_MS, &popped);
	if (err)
		return err;
	add_job(group, popped);
	if (is_import(popped))
		return TL_OK;
	while (!is_full(group) && tl_queue_pop(ingest->intake.jobs, 0, &popped) == TL_OK) {
		if (is_import(popped)) {
			ingest->carried = popped;
			break;
		}
		add_job(group, popped);
	}
	return TL_OK;
}

static void
send_replies(struct ingest *ingest, struct jobs *group)
{
	int64_t now_us = tl_clock_mono_us();

	for (size_t i = 0; i < group->count; i++) {
		struct intake_job *job = group->jobs[i];
		int64_t received_us = tl_rep_request_received_us(job->request);

		if (!job->commit.is_command)
			tl_histogram_add(&ingest->stats.ack_us, now_us - received_us);
		intake_finish(&ingest->intake, job);
	}
}

/* The id index has no room for the batches; what needs no ids goes on. */
static enum tl_err
commit_commands(struct ingest *ingest, struct jobs *group, int64_t now_ms, struct tl_why *why)
{
	struct commit_job *commands[GROUP_JOBS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < group->count; i++) {
		if (group->commits[i]->is_command)
			commands[count++] = group->commits[i];
	}
	tl_log(TL_LOG_WARN, "id index full bytes_max=%lld batches=%zu",
		(long long)ingest->options.settings.id_index_bytes_max, group->count - count);
	if (count == 0)
		return TL_OK;
	return commit_group(ingest->commit, commands, count, now_ms, why);
}

static enum tl_err
commit_jobs(struct ingest *ingest, struct jobs *group, int64_t now_ms, struct tl_why *why)
{
	enum tl_err err;

	err = commit_group(ingest->commit, group->commits, group->count, now_ms, why);
	if (err == TL_EID_INDEX_FULL)
		err = commit_commands(ingest, group, now_ms, why);
	return err;
}

static void
refuse_jobs(struct ingest *ingest, struct jobs *group, enum tl_err err)
{
	for (size_t i = 0; i < group->count; i++)
		intake_refuse(&ingest->intake, group->jobs[i], err, NULL);
}

/* Nobody of this group is acknowledged, and nobody after it. */
static void
fail_storage(struct ingest *ingest)
{
	ingest->has_failed = true;
	if (ingest->options.gate != NULL)
		tl_gate_close(ingest->options.gate, TL_GATE_STORAGE);
}

static void
run_group(struct ingest *ingest, struct jobs *group)
{
	struct tl_why why = {.text = ""};
	int64_t now_ms;
	enum tl_err clock_err = intake_now(&ingest->intake, &now_ms);
	enum tl_err err;

	tl_disk_guard_look(ingest->options.disk);
	err = ingest->has_failed ? TL_ESTORAGE_UNAVAILABLE : tl_gate_err(ingest->options.gate);
	if (!err)
		err = clock_err;
	if (err) {
		refuse_jobs(ingest, group, err);
		return;
	}
	err = commit_jobs(ingest, group, now_ms, &why);
	if (!err) {
		if (ingest->options.on_commit != NULL)
			ingest->options.on_commit(
				ingest->options.arg, commit_group_no(ingest->commit));
		send_replies(ingest, group);
		return;
	}
	fail_storage(ingest);
	refuse_jobs(ingest, group, TL_ESTORAGE_UNAVAILABLE);
	if (ingest->options.on_storage_failure != NULL)
		ingest->options.on_storage_failure(ingest->options.arg, err, why.text);
}

/* When nobody wants anything of the writer: what it may do late. */
static void
keep_signins(struct ingest *ingest, int64_t age_ms)
{
	struct tl_why why = {.text = ""};
	enum tl_err err;

	if (ingest->has_failed || tl_gate_err(ingest->options.gate))
		return;
	err = commit_signins(ingest->commit, age_ms, &why);
	if (!err)
		return;
	fail_storage(ingest);
	if (ingest->options.on_storage_failure != NULL)
		ingest->options.on_storage_failure(ingest->options.arg, err, why.text);
}

static void *
run_writer(void *arg)
{
	struct ingest *ingest = arg;
	struct jobs group;
	enum tl_err err = TL_OK;

	tl_thread_name("tl-writer");
	while (err != TL_ECLOSED) {
		err = take_jobs(ingest, &group);
		if (!err)
			run_group(ingest, &group);
		else
			keep_signins(ingest, err == TL_ECLOSED ? 0 : TL_SIGNIN_STORE_MS);
		atomic_fetch_add(&ingest->stats.writer_turns, 1);
	}
	return NULL;
}

static void
run_order(struct ingest *ingest, struct intake_job *job)
{
	const struct ingest_options *options = &ingest->options;
	struct tl_why why = {.text = ""};
	enum tl_err err;

	if (atomic_load(&ingest->is_stopping))
		err = TL_ESHUTTING_DOWN;
	else if (options->on_order == NULL)
		err = TL_ENOT_FOUND;
	else
		err = options->on_order(
			options->arg, &job->commit.command, &job->commit.reply, &why);
	if (err)
		intake_refuse(&ingest->intake, job, err, &why);
	else
		intake_finish(&ingest->intake, job);
}

static void *
run_orderer(void *arg)
{
	struct ingest *ingest = arg;
	void *job;

	tl_thread_name("tl-orders");
	while (tl_queue_pop(ingest->intake.orders, -1, &job) == TL_OK)
		run_order(ingest, job);
	return NULL;
}

static enum tl_err
start_worker(struct ingest *ingest, struct tl_queue *requests, bool is_operator)
{
	struct intake_worker *worker = &ingest->workers[ingest->worker_count];

	worker->intake = &ingest->intake;
	worker->requests = requests;
	worker->is_operator = is_operator;
	if (is_operator)
		snprintf(worker->name, sizeof(worker->name), "tl-control");
	else
		snprintf(worker->name, sizeof(worker->name), "tl-intake-%zu",
			ingest->worker_count % 100);
	if (pthread_create(&worker->thread, NULL, intake_run, worker) != 0)
		return TL_ENOMEM;
	ingest->worker_count++;
	return TL_OK;
}

static size_t
count_workers(const struct ingest_settings *settings)
{
	int64_t count = settings->worker_count;

	if (count == 0)
		count = sysconf(_SC_NPROCESSORS_ONLN);
	if (count < 1)
		count = 1;
	return (size_t)(count < WORKERS_MAX ? count : WORKERS_MAX);
}

static enum tl_err
start_threads(struct ingest *ingest, struct tl_why *why)
{
	size_t count = count_workers(&ingest->options.settings);
	enum tl_err err = TL_OK;

	ingest->has_writer = pthread_create(&ingest->writer, NULL, run_writer, ingest) == 0;
	ingest->has_orderer = pthread_create(&ingest->orderer, NULL, run_orderer, ingest) == 0;
	if (!ingest->has_writer || !ingest->has_orderer)
		err = TL_ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = start_worker(ingest, ingest->requests, false);
	if (!err && ingest->options.control_url != NULL)
		err = start_worker(ingest, ingest->controls, true);
	return err ? tl_fail(why, err, "no thread for ingest") : TL_OK;
}

static enum tl_err
listen_on(struct ingest *ingest, const char *const *urls, size_t url_count, struct tl_queue *queue,
	struct tl_rep_server **server_out, struct tl_why *why)
{
	struct tl_rep_options options = {
		.urls = urls,
		.url_count = url_count,
		.queue = queue,
		.full_reply = tl_buf_slice(&ingest->intake.overloaded),
		.closed_reply = tl_buf_slice(&ingest->intake.shutting_down),
	};

	return tl_rep_server_start(&options, server_out, why);
}

static enum tl_err
start_servers(struct ingest *ingest, struct tl_why *why)
{
	const struct ingest_options *options = &ingest->options;
	enum tl_err err;

	err = listen_on(ingest, options->urls, options->url_count, ingest->requests,
		&ingest->gateways, why);
	if (!err && options->control_url != NULL)
		err = listen_on(
			ingest, &options->control_url, 1, ingest->controls, &ingest->control, why);
	return err;
}

static enum tl_err
start_intake(struct ingest *ingest, struct tl_why *why)
{
	const struct ingest_options *options = &ingest->options;
	enum tl_err err;

	ingest->intake.roster = options->roster;
	ingest->intake.clock = options->clock;
	ingest->intake.watch = options->watch;
	ingest->intake.settings = options->settings;
	ingest->intake.stats = &ingest->stats;
	/* Half of the bytes that may wait are for messages, the other for what they became. */
	err = intake_init(&ingest->intake);
	if (!err)
		err = tl_queue_new(REQUESTS_MAX, (size_t)options->settings.queue_bytes_max / 2,
			&ingest->requests);
	if (!err)
		err = tl_queue_new(CONTROLS_MAX, CONTROL_BYTES_MAX, &ingest->controls);
	return err ? tl_fail(why, err, "no memory for ingest") : TL_OK;
}

enum tl_err
ingest_start(const struct ingest_options *options, struct ingest **ingest_out, struct tl_why *why)
{
	struct ingest *ingest = calloc(1, sizeof(*ingest));
	enum tl_err err;

	if (ingest == NULL) {
		commit_free(options->commit);
		return tl_fail(why, TL_ENOMEM, "no memory for ingest");
	}
	ingest->options = *options;
	ingest->commit = options->commit;
	assert(ingest->commit != NULL || tl_gate_err(options->gate));
	err = start_intake(ingest, why);
	if (!err && ingest->commit != NULL)
		err = commit_attach(ingest->commit, options->store, options->roster,
			options->highwater, &ingest->stats, why);
	if (!err)
		err = start_threads(ingest, why);
	if (!err)
		err = start_servers(ingest, why);
	if (err) {
		ingest_stop(ingest);
		return err;
	}
	*ingest_out = ingest;
	return TL_OK;
}

static void
close_queue(struct tl_queue *queue)
{
	if (queue != NULL)
		tl_queue_close(queue);
}

/* Ends the threads in the order of the arrows; each leaves its queue empty. */
static void
stop_threads(struct ingest *ingest)
{
	close_queue(ingest->requests);
	close_queue(ingest->controls);
	for (size_t i = 0; i < ingest->worker_count; i++)
		pthread_join(ingest->workers[i].thread, NULL);
	close_queue(ingest->intake.jobs);
	close_queue(ingest->intake.orders);
	if (ingest->has_writer)
		pthread_join(ingest->writer, NULL);
	if (ingest->has_orderer)
		pthread_join(ingest->orderer, NULL);
}

void
ingest_stop(struct ingest *ingest)
{
	if (ingest == NULL)
		return;
	atomic_store(&ingest->is_stopping, true);
	stop_threads(ingest);
	tl_rep_server_stop(ingest->control);
	tl_rep_server_stop(ingest->gateways);
	assert(ingest->carried == NULL);
	commit_free(ingest->commit);
	tl_queue_free(ingest->requests);
	tl_queue_free(ingest->controls);
	intake_fini(&ingest->intake);
	free(ingest);
}

const struct ingest_stats *
ingest_stats_of(const struct ingest *ingest)
{
	return &ingest->stats;
}

void
ingest_set_queue_bytes_max(struct ingest *ingest, int64_t bytes_max)
{
	tl_queue_set_bytes_max(ingest->requests, (size_t)bytes_max);
	tl_queue_set_bytes_max(ingest->intake.jobs, (size_t)bytes_max);
}

uint32_t
ingest_queue_ppm(const struct ingest *ingest)
{
	uint32_t requests_ppm = tl_queue_filled_ppm(ingest->requests);
	uint32_t jobs_ppm = tl_queue_filled_ppm(ingest->intake.jobs);

	return requests_ppm > jobs_ppm ? requests_ppm : jobs_ppm;
}

uint16_t
ingest_port(const struct ingest *ingest)
{
	return tl_rep_server_port(ingest->gateways);
}
