#include "ingest/intake.h"

#include <assert.h>
#include <stdlib.h>

#include "ingest/control.h"
#include "ingest/refusal.h"
#include "schema/base/daemon.h"
#include "schema/model/limits.h"
#include "schema/wire/frame.h"
#include "schema/wire/reader.h"

#define JOBS_MAX 4096u
#define ORDERS_MAX 16u
/* Jobs kept for the next request; each keeps the memory of the largest batch it held. */
#define POOL_MAX 64u
/* 1,000 events with every column, every name distinct and one reject each are 3 MiB. */
#define JOB_ARENA_BYTES_MAX ((size_t)16 << 20)
#define MEMBERS_MAX 65536u

enum tl_err
intake_init(struct intake *intake)
{
	enum tl_err err;

	tl_buf_init(&intake->overloaded, 0);
	tl_buf_init(&intake->shutting_down, 0);
	if (pthread_mutex_init(&intake->mtx, NULL) != 0)
		return TL_ENOMEM;
	refusal_put(&intake->overloaded, TL_EOVERLOADED, NULL);
	refusal_put(&intake->shutting_down, TL_ESHUTTING_DOWN, NULL);
	if (intake->overloaded.err || intake->shutting_down.err)
		return TL_ENOMEM;
	err = tl_queue_new(JOBS_MAX, (size_t)intake->settings.queue_bytes_max / 2, &intake->jobs);
	if (!err)
		err = tl_queue_new(ORDERS_MAX, 0, &intake->orders);
	return err;
}

static void
free_job(struct intake_job *job)
{
	if (job == NULL)
		return;
	tl_buf_fini(&job->commit.reply);
	tl_buf_fini(&job->inflated);
	tl_arena_fini(&job->arena);
	free(job);
}

void
intake_fini(struct intake *intake)
{
	while (intake->pool != NULL) {
		struct intake_job *job = intake->pool;

		intake->pool = job->next;
		free_job(job);
	}
	tl_queue_free(intake->jobs);
	tl_queue_free(intake->orders);
	tl_buf_fini(&intake->overloaded);
	tl_buf_fini(&intake->shutting_down);
	pthread_mutex_destroy(&intake->mtx);
}

/* A job from the pool, else a new one; NULL without memory. */
static struct intake_job *
take_job(struct intake *intake)
{
	struct intake_job *job;

	pthread_mutex_lock(&intake->mtx);
	job = intake->pool;
	if (job != NULL) {
		intake->pool = job->next;
		intake->pool_count--;
	}
	pthread_mutex_unlock(&intake->mtx);
	if (job != NULL)
		return job;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return NULL;
	tl_arena_init(&job->arena, JOB_ARENA_BYTES_MAX);
	tl_buf_init(&job->inflated, 0);
	tl_buf_init(&job->commit.reply, TL_REPLY_BYTES_MAX);
	return job;
}

static void
give_back(struct intake *intake, struct intake_job *job)
{
	tl_arena_reset(&job->arena);
	tl_buf_reset(&job->inflated);
	tl_buf_reset(&job->commit.reply);
	job->request = NULL;
	pthread_mutex_lock(&intake->mtx);
	if (intake->pool_count < POOL_MAX) {
		job->next = intake->pool;
		intake->pool = job;
		intake->pool_count++;
		job = NULL;
	}
	pthread_mutex_unlock(&intake->mtx);
	free_job(job);
}

void
intake_finish(struct intake *intake, struct intake_job *job)
{
	/* A reply that could not be built is not sent: the peer asks again and gets "duplicate". */
	if (job->commit.reply.err)
		tl_rep_request_drop(job->request);
	else
		tl_rep_request_reply(job->request, tl_buf_slice(&job->commit.reply));
	give_back(intake, job);
}

void
intake_refuse(
	struct intake *intake, struct intake_job *job, enum tl_err err, const struct tl_why *why)
{
	tl_counter_add(&intake->stats->refused_batches, 1);
	commit_count_denied(intake->stats, &job->commit, err);
	refusal_put(&job->commit.reply, err, why);
	intake_finish(intake, job);
}

enum tl_err
intake_now(struct intake *intake, int64_t *now_ms_out)
{
	if (intake->watch != NULL)
		return tl_clock_watch_read(intake->watch, now_ms_out);
	*now_ms_out = tl_clock_wall_ms(intake->clock);
	return TL_OK;
}

/* Hand the job on; from here on it is somebody else's. */
static void
pass_on(struct intake *intake, struct tl_queue *queue, struct intake_job *job)
{
	size_t bytes = job->frame_bytes + job->inflated.bytes + job->arena.used_bytes;
	enum tl_err err = tl_queue_push(queue, job, bytes);

	if (err)
		intake_refuse(intake, job, err, NULL);
}

static bool
is_order(enum tl_command_op op)
{
	return op == TL_COMMAND_STATS || op == TL_COMMAND_VERIFY || op == TL_COMMAND_REBUILD ||
	       op == TL_COMMAND_SEAL || op == TL_COMMAND_DUMP || op == TL_COMMAND_ACCEPT_CLOCK;
}

/* An invitation's code, or a link's, is a credential of its own. */
static bool
carries_code(enum tl_command_op op)
{
	return op == TL_COMMAND_INVITE_ACCEPT || op == TL_COMMAND_SIGNIN_CREATE;
}

/* Who tries codes does not get as far as the writer with a wrong one. */
static enum tl_err
look_up_code(const struct tl_command *command, const struct tl_registry *registry, int64_t now_ms,
	struct tl_why *why)
{
	if (command->op == TL_COMMAND_INVITE_ACCEPT)
		return control_invite_check(command, registry, now_ms, why);
	return control_link_check(command, registry, now_ms, why);
}

/* Who gives the command. */
static enum tl_err
find_caller(struct intake_worker *worker, struct intake_job *job,
	const struct tl_registry *registry, int64_t now_ms, struct tl_why *why)
{
	const struct tl_command *command = &job->commit.command;

	if (carries_code(command->op) && command->token.bytes == 0 && !worker->is_operator) {
		job->commit.caller = (struct tl_caller){.type = TL_CREDENTIAL_AGENT};
		return look_up_code(command, registry, now_ms, why);
	}
	return tl_caller_resolve(registry, command->token, command->org, worker->is_operator,
		now_ms, &job->commit.caller, why);
}

static void
run_command(struct intake_worker *worker, struct intake_job *job, struct tl_slice map,
	const struct tl_registry *registry, int64_t now_ms, enum tl_err clock_err)
{
	struct intake *intake = worker->intake;
	const struct tl_command *command = &job->commit.command;
	struct tl_why why = {.text = ""};
	enum tl_err err;

	job->commit.is_command = true;
	job->commit.admitted = NULL;
	err = tl_command_read(map, &job->commit.command, &why);
	if (!err && tl_command_writes(command->op))
		err = clock_err;
	if (!err)
		err = find_caller(worker, job, registry, now_ms, &why);
	if (!err && is_order(command->op)) {
		/* Orders to the daemon itself: only where file permissions say who it is. */
		err = worker->is_operator
			      ? tl_authorise(&job->commit.caller, TL_RIGHT_OPERATE, &why)
			      : tl_fail(&why, TL_EFORBIDDEN, "op: only on the control socket");
		if (!err) {
			pass_on(intake, intake->orders, job);
			return;
		}
	}
	if (!err && tl_command_writes(command->op)) {
		pass_on(intake, intake->jobs, job);
		return;
	}
	if (!err && command->op == TL_COMMAND_KEY_RESOLVE)
		err = tl_roster_allow_resolve(
			intake->roster, &job->commit.caller, tl_clock_mono_ms(intake->clock), &why);
	if (!err)
		err = control_read(
			command, &job->commit.caller, registry, now_ms, &job->commit.reply, &why);
	if (err)
		intake_refuse(intake, job, err, &why);
	else
		intake_finish(intake, job);
}

static enum tl_err
admit(struct intake_worker *worker, struct intake_job *job, struct tl_slice map,
	const struct tl_registry *registry, int64_t now_ms, struct tl_why *why)
{
	const struct ingest_settings *settings = &worker->intake->settings;
	struct admit_rules rules = {
		.now_ms = now_ms,
		.accept_past_days = settings->accept_past_days,
		.retention_days = settings->retention_days,
		.is_operator = worker->is_operator,
		.members = worker->members,
	};

	job->commit.is_command = false;
	job->commit.admitted = &job->admitted;
	return admit_batch(map, registry, &rules, &job->arena, &job->admitted, why);
}

/* True when a map that is no batch is a command. */
static bool
is_command(struct tl_slice map)
{
	return tl_reader_check(map, TL_WIRE_DEPTH_MAX, NULL) == TL_OK && tl_command_is(map);
}

/*
 * A batch is tried first, since nearly every message is one; a command fails that at its first key
 * and costs a second look.
 */
static void
run_message(struct intake_worker *worker, struct intake_job *job)
{
	struct intake *intake = worker->intake;
	struct tl_slice message = tl_rep_request_body(job->request);
	const struct tl_registry *registry;
	struct tl_why why = {.text = ""};
	struct tl_slice map;
	int64_t now_ms;
	enum tl_err clock_err = intake_now(intake, &now_ms);
	enum tl_err err;

	job->frame_bytes = message.bytes;
	err = tl_frame_open(message, TL_FRAME_BYTES_MAX, &job->inflated, &map, &why);
	if (err) {
		intake_refuse(intake, job, err, &why);
		return;
	}
	registry = tl_registry_pin(intake->roster);
	/* Before the credential: by a wrong clock it may be one that has run out, for ever. */
	err = clock_err ? clock_err : admit(worker, job, map, registry, now_ms, &why);
	if (!err)
		pass_on(intake, intake->jobs, job);
	else if (is_command(map))
		run_command(worker, job, map, registry, now_ms, clock_err);
	else
		intake_refuse(intake, job, err, &why);
	tl_registry_unpin(registry);
}

static void
run_request(struct intake_worker *worker, struct tl_rep_request *request)
{
	struct intake *intake = worker->intake;
	struct intake_job *job = NULL;

	/* Decoding what the writer cannot take would only make the overload worse. */
	if (worker->is_operator || !tl_queue_is_full(intake->jobs))
		job = take_job(intake);
	if (job == NULL) {
		tl_counter_add(&intake->stats->refused_batches, 1);
		tl_rep_request_reply(request, tl_buf_slice(&intake->overloaded));
		return;
	}
	job->request = request;
	run_message(worker, job);
}

void *
intake_run(void *arg)
{
	struct intake_worker *worker = arg;
	void *request;

	tl_thread_name(worker->name);
	/* Without this memory emails are only dearer. */
	if (tl_map_new(MEMBERS_MAX, &worker->members) != TL_OK)
		worker->members = NULL;
	while (tl_queue_pop(worker->requests, -1, &request) == TL_OK)
		run_request(worker, request);
	tl_map_free(worker->members);
	return NULL;
}
