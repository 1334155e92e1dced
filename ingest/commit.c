/*
 * The course of a group. Until the synced write returns, nothing outside this thread has changed:
 * names, ids and the registry edit are provisional. After a failure memory may be ahead of the
 * disk, so the whole of struct commit is dead and the process ends.
 */
#include "ingest/commit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "ingest/control.h"
#include "ingest/refusal.h"
#include "ingest/writer.h"
#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/model/limits.h"
#include "schema/store/expiry.h"
#include "schema/store/key.h"

#define DICT_NAMES_MAX 262144u

static enum tl_err
read_expiry(struct commit *commit, struct tl_why *why)
{
	struct tl_expiry expiry;
	enum tl_err err = tl_expiry_get(commit->store, NULL, &expiry, why);

	if (!err)
		commit->expired_before_ms = expiry.day_ms;
	return err;
}

/* What became of a job; its reply says so once the group is durable. */
struct outcome {
	bool is_refused; /* the reply is written already */
	struct verdicts verdicts;
};

static void
publish_ids(struct commit *commit)
{
	atomic_store(&commit->stats->id_count, dedupe_count(commit->dedupe));
	atomic_store(&commit->stats->id_bytes, dedupe_bytes(commit->dedupe));
}

/* Where the journal ends; TL_OK with zeros in an empty store. */
static enum tl_err
read_last(struct commit *commit, struct tl_journal_row *row_out, struct tl_why *why)
{
	enum tl_err err;

	*row_out = (struct tl_journal_row){.group_no = 0};
	err = tl_journal_last(commit->store, &commit->group.arena, row_out, why);
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

static enum tl_err
read_position(struct commit *commit, struct tl_why *why)
{
	struct tl_journal_row row;
	enum tl_err err = read_last(commit, &row, why);

	if (err)
		return err;
	commit->group_no = row.group_no;
	commit->seq = row.seq_last;
	commit->chain = row.chain;
	commit->received_ms = row.received_ms;
	return TL_OK;
}

enum tl_err
commit_open(struct tl_store *store, const struct ingest_settings *settings, int64_t now_ms,
	struct commit **commit_out, struct tl_why *why)
{
	struct commit *commit = calloc(1, sizeof(*commit));
	enum tl_err err;

	if (commit == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for the writer");
	commit->store = store;
	commit->settings = *settings;
	commit->epoch = tl_store_epoch(store);
	group_init(&commit->group);
	tl_buf_init(&commit->buf, 0);
	tl_random(&commit->print_key, sizeof(commit->print_key));
	err = dedupe_new((size_t)settings->id_index_bytes_max, &commit->dedupe);
	if (err)
		tl_fail(why, err, "no memory for the id index");
	if (!err)
		err = read_position(commit, why);
	if (!err)
		err = read_expiry(commit, why);
	if (!err)
		err = idwindow_open(commit, now_ms, why);
	if (err) {
		commit_free(commit);
		return err;
	}
	*commit_out = commit;
	return TL_OK;
}

static enum tl_err
make_parts(struct commit *commit, struct tl_why *why)
{
	enum tl_err err;

	err = tl_dict_new(commit->store, DICT_NAMES_MAX, &commit->dict);
	if (!err)
		err = tl_map_new(WRITER_NAMES_MAX, &commit->names);
	if (!err)
		err = tl_map_new(TL_GROUP_EVENTS_MAX, &commit->conflicts);
	if (!err)
		err = stored_new(commit->store, commit->dedupe, &commit->stored);
	if (!err)
		err = tl_write_new(commit->store, &commit->write);
	if (err)
		return tl_fail(why, err, "no memory for the writer");
	return sources_new(commit->store, &commit->sources, why);
}

/* What is opened for writing holds what was read and checked. */
static enum tl_err
check_same(struct commit *commit, struct tl_why *why)
{
	struct tl_journal_row row;
	enum tl_err err = read_last(commit, &row, why);

	if (err)
		return err;
	if (row.group_no == commit->group_no && row.chain == commit->chain)
		return TL_OK;
	return tl_fail(why, TL_EACKED_DATA_MISSING,
		"have %" PRIu64 " open for writing, had %" PRIu64 " open for reading", row.seq_last,
		commit->seq);
}

enum tl_err
commit_attach(struct commit *commit, struct tl_store *store, struct tl_roster *roster,
	struct tl_highwater *highwater, struct ingest_stats *stats, struct tl_why *why)
{
	enum tl_err err;

	commit->store = store;
	commit->roster = roster;
	commit->highwater = highwater;
	commit->stats = stats;
	err = check_same(commit, why);
	if (!err)
		err = make_parts(commit, why);
	if (err)
		return err;
	publish_ids(commit);
	atomic_store(&stats->committed_group_no, commit->group_no);
	atomic_store(&stats->committed_seq, commit->seq);
	return TL_OK;
}

void
commit_free(struct commit *commit)
{
	if (commit == NULL)
		return;
	tl_edit_discard(commit->edit);
	tl_write_free(commit->write);
	sources_free(commit->sources);
	stored_free(commit->stored);
	tl_map_free(commit->conflicts);
	tl_map_free(commit->names);
	tl_dict_free(commit->dict);
	dedupe_free(commit->dedupe);
	idwindow_close(commit);
	group_fini(&commit->group);
	tl_buf_fini(&commit->buf);
	free(commit);
}

static uint32_t
count_rows(struct commit_job *const *jobs, size_t job_count)
{
	uint32_t row_count = 0;

	for (size_t i = 0; i < job_count; i++) {
		if (!jobs[i]->is_command)
			row_count += jobs[i]->admitted->batch.row_count;
	}
	/* Each may bring the row it takes back, and rows have 16 bits in the id table. */
	assert(row_count <= TL_GROUP_EVENTS_MAX / 2);
	return row_count;
}

/* All that can refuse the group, before anything of it is taken. */
static enum tl_err
begin(struct commit *commit, struct commit_job *const *jobs, size_t job_count, int64_t now_ms,
	struct tl_why *why)
{
	int64_t received_ms = now_ms > commit->received_ms ? now_ms : commit->received_ms;
	uint32_t row_count = count_rows(jobs, job_count);
	enum tl_err err;

	tl_write_reset(commit->write);
	tl_map_clear(commit->conflicts);
	names_begin(commit);
	sources_begin(commit->sources, received_ms);
	err = group_begin(&commit->group, commit->group_no + 1, received_ms, row_count);
	if (!err)
		err = read_expiry(commit, why);
	if (!err)
		err = idwindow_turn(commit, received_ms, why);
	for (size_t i = 0; i < job_count && !err; i++) {
		if (!jobs[i]->is_command && jobs[i]->admitted->head.import)
			err = idwindow_load(commit, &jobs[i]->admitted->batch, received_ms, why);
	}
	if (!err)
		err = dedupe_reserve(commit->dedupe, row_count);
	if (!err)
		err = tl_edit_begin(commit->roster, commit->write, &commit->edit);
	if (!err)
		tl_edit_keep_signins(commit->edit, TL_SIGNIN_STORE_MS);
	return err;
}

/* True for what a command cannot be at fault for: the edit may be half done. */
static bool
is_storage_error(enum tl_err err)
{
	return err == TL_ENOMEM || err == TL_EIO || err == TL_ENOSPACE ||
	       err == TL_ESTORAGE_UNAVAILABLE || err == TL_ESTORAGE_CORRUPT;
}

void
commit_count_denied(struct ingest_stats *stats, const struct commit_job *job, enum tl_err err)
{
	if (err == TL_EUNAUTHENTICATED)
		tl_counter_add(&stats->unauthenticated, 1);
	else if (err == TL_EFORBIDDEN && job->is_command)
		tl_counter_add(&stats->denied[job->command.op], 1);
	else if (err == TL_EFORBIDDEN)
		tl_counter_add(&stats->denied_batches, 1);
}

static enum tl_err
run_command(
	struct commit *commit, struct commit_job *job, struct outcome *outcome, struct tl_why *why)
{
	struct tl_why refusal = {.text = ""};
	enum tl_err err;

	tl_counter_add(&commit->stats->commands, 1);
	tl_buf_reset(&job->reply);
	err = control_write(&job->command, &job->caller, commit->edit, commit->group.received_ms,
		&job->reply, &refusal);
	if (err && is_storage_error(err))
		return tl_fail(
			why, err, "command %s: %s", tl_command_name(job->command.op), refusal.text);
	if (err) {
		commit_count_denied(commit->stats, job, err);
		refusal_put(&job->reply, err, &refusal);
		outcome->is_refused = true;
	}
	return TL_OK;
}

static enum tl_err
run_job(struct commit *commit, struct commit_job *job, struct outcome *outcome, struct tl_why *why)
{
	enum tl_err err;

	if (job->is_command)
		return run_command(commit, job, outcome, why);
	if (!group_fits_cost(&commit->group, &job->admitted->batch)) {
		refusal_put(&job->reply, TL_EOVERLOADED, NULL);
		outcome->is_refused = true;
		return TL_OK;
	}
	err = owner_check(commit, job->admitted, why);
	if (err)
		return err;
	return verdict_batch(commit, job->admitted, &outcome->verdicts, why);
}

static enum tl_err
put_journal(struct commit *commit, struct tl_why *why)
{
	struct group *group = &commit->group;
	struct tl_key key = tl_key_journal(group->group_no);
	struct tl_journal_row row = {
		.group_no = group->group_no,
		.epoch = commit->epoch,
		.seq_first = commit->seq + 1,
		.seq_last = commit->seq + group->stored_count,
		.received_ms = group->received_ms,
		.cost_nusd = group->cost_nusd,
		.blocks = group->blocks,
		.block_count = group->block_count,
	};

	tl_buf_reset(&commit->buf);
	tl_journal_encode(&row, commit->chain, &commit->buf);
	if (commit->buf.err)
		return tl_fail(
			why, commit->buf.err, "group %" PRIu64 ": no journal row", group->group_no);
	tl_write_put(
		commit->write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&commit->buf));
	commit->chain = row.chain;
	return TL_OK;
}

/*
 * Blocks, counters and the journal row. A group gets a number when it holds rows, a command, or
 * something in quarantine, which readers are to see soon; counters alone do not need one.
 */
static enum tl_err
put_group(struct commit *commit, bool has_command, bool *is_numbered_out, struct tl_why *why)
{
	struct group *group = &commit->group;
	bool is_numbered =
		group->stored_count > 0 || has_command || tl_map_count(commit->conflicts) > 0;
	enum tl_err err;

	err = group_put(group, commit->store, commit->write, why);
	if (!err)
		err = sources_put(commit->sources, commit->write);
	if (!err)
		err = tl_dict_put(commit->dict, commit->write);
	if (!err && is_numbered)
		err = put_journal(commit, why);
	if (!err)
		*is_numbered_out = is_numbered;
	return err;
}

/* Everything up to the write and its sync. */
static enum tl_err
write_group(struct commit *commit, struct commit_job *const *jobs, size_t job_count,
	struct outcome *outcomes, bool *is_numbered_out, struct tl_why *why)
{
	bool has_command = false;
	int64_t start_us;
	enum tl_err err = TL_OK;

	for (size_t i = 0; i < job_count && !err; i++) {
		err = run_job(commit, jobs[i], &outcomes[i], why);
		has_command |= jobs[i]->is_command && !outcomes[i].is_refused;
	}
	if (!err)
		err = put_group(commit, has_command, is_numbered_out, why);
	if (err)
		return err;
	start_us = tl_clock_mono_us();
	err = tl_write_commit(commit->write, TL_SYNC, why);
	tl_histogram_add(&commit->stats->fsync_us, tl_clock_mono_us() - start_us);
	return err;
}

static void
reply_batch(struct commit *commit, struct commit_job *job, const struct verdicts *verdicts)
{
	const struct tl_batch *batch = &job->admitted->batch;
	struct ingest_stats *stats = commit->stats;
	struct tl_batch_answer answer = {
		.batch = job->admitted->head.batch,
		.epoch = commit->epoch,
		.seq = commit->seq,
		.accepted = verdicts->accepted,
		.duplicate = verdicts->duplicate,
		.replaced = verdicts->replaced,
		.rejected = verdicts->rejected + verdicts->conflict,
		.rejects = batch->rejects,
		.reject_count = batch->reject_count,
	};

	assert(answer.accepted + answer.duplicate + answer.replaced + answer.rejected ==
		job->admitted->head.event_count);
	assert(answer.rejected == answer.reject_count);
	tl_buf_reset(&job->reply);
	tl_batch_put_answer(&job->reply, &answer);
	tl_counter_add(&stats->batches, 1);
	tl_counter_add(&stats->events, job->admitted->head.event_count);
	tl_counter_add(&stats->accepted, answer.accepted);
	tl_counter_add(&stats->duplicate, answer.duplicate);
	tl_counter_add(&stats->replaced, answer.replaced);
	tl_counter_add(&stats->rejected, answer.rejected);
}

/* The group is durable: memory follows, then the replies may say so. */
static void
publish(struct commit *commit, bool is_numbered)
{
	struct group *group = &commit->group;

	group_settle(group);
	if (is_numbered) {
		commit->group_no = group->group_no;
		commit->seq += group->stored_count;
		commit->received_ms = group->received_ms;
	}
	tl_edit_publish(commit->edit);
	commit->edit = NULL;
	if (is_numbered)
		tl_highwater_note_group(commit->highwater, commit->group_no, commit->seq,
			commit->chain, group->cost_nusd);
	publish_ids(commit);
	tl_counter_add(&commit->stats->groups, 1);
	atomic_store(&commit->stats->committed_seq, commit->seq);
	atomic_store(&commit->stats->committed_group_no, commit->group_no);
}

/* The ids have no room: nothing was taken, everybody is told. */
static enum tl_err
refuse_group(struct commit *commit, struct commit_job *const *jobs, size_t job_count)
{
	for (size_t i = 0; i < job_count; i++)
		refusal_put(&jobs[i]->reply, TL_EID_INDEX_FULL, NULL);
	tl_counter_add(&commit->stats->refused_batches, job_count);
	return TL_EID_INDEX_FULL;
}

enum tl_err
commit_group(struct commit *commit, struct commit_job *const *jobs, size_t job_count,
	int64_t now_ms, struct tl_why *why)
{
	int64_t start_us = tl_clock_mono_us();
	struct outcome *outcomes = NULL;
	bool is_numbered = false;
	enum tl_err err;

	assert(!commit->is_dead);
	assert(job_count > 0);
	err = begin(commit, jobs, job_count, now_ms, why);
	if (err == TL_EID_INDEX_FULL)
		return refuse_group(commit, jobs, job_count);
	if (!err) {
		outcomes = tl_arena_array(&commit->group.arena, job_count, sizeof(*outcomes));
		err = outcomes != NULL ? TL_OK : TL_ENOMEM;
	}
	if (!err)
		err = write_group(commit, jobs, job_count, outcomes, &is_numbered, why);
	if (err) {
		commit->is_dead = true;
		tl_edit_discard(commit->edit);
		commit->edit = NULL;
		group_end(&commit->group, commit->store, false);
		return err;
	}
	publish(commit, is_numbered);
	for (size_t i = 0; i < job_count; i++) {
		if (!jobs[i]->is_command && !outcomes[i].is_refused)
			reply_batch(commit, jobs[i], &outcomes[i].verdicts);
		else if (outcomes[i].is_refused)
			tl_counter_add(&commit->stats->refused_batches, 1);
	}
	group_end(&commit->group, commit->store, true);
	tl_histogram_add(&commit->stats->commit_us, tl_clock_mono_us() - start_us);
	return TL_OK;
}

enum tl_err
commit_signins(struct commit *commit, int64_t age_ms, struct tl_why *why)
{
	uint32_t count;
	enum tl_err err;

	assert(!commit->is_dead);
	tl_write_reset(commit->write);
	err = tl_edit_begin(commit->roster, commit->write, &commit->edit);
	if (err)
		return err;
	count = tl_edit_keep_signins(commit->edit, age_ms);
	if (count > 0)
		err = tl_write_commit(commit->write, TL_SYNC, why);
	commit->is_dead = err != TL_OK;
	if (!err)
		tl_counter_add(&commit->stats->signins_stored, count);
	tl_edit_discard(commit->edit);
	commit->edit = NULL;
	return err;
}

uint64_t
commit_group_no(const struct commit *commit)
{
	return commit->group_no;
}

uint64_t
commit_seq(const struct commit *commit)
{
	return commit->seq;
}
