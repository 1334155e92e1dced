#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/commit.h"
#include "ingest/writer.h"
#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/store/expiry.h"
#include "schema/store/block.h"
#include "schema/store/dict.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/value.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 2026-11-21T10:00:00Z */
#define NOW_MS 1795255200000LL
#define TODAY_MS 1795219200000LL
#define JOBS_MAX 16
#define EVENTS_MAX 1000u

/* A job of the group being made up, and all it needs. */
struct work {
	struct commit_job job;
	struct admitted admitted;
	struct tl_arena arena;
	struct tl_buf frame;
};

struct place {
	char dir[32];
	struct tl_store *store;
	struct tl_roster *roster;
	struct tl_arena arena;
	struct tl_buf buf;
	struct ingest_settings settings;
	struct ingest_stats stats;
	struct commit *commit;
	struct tl_why why;
	int64_t now_ms;
	char gateway[TL_TOKEN_BYTES_MAX];
	char gateway_id[TL_KEY_ID_BYTES];
	char admin[TL_TOKEN_BYTES_MAX];
	char all_orgs[TL_TOKEN_BYTES_MAX];
	struct work works[JOBS_MAX];
	uint32_t job_count;
	struct tl_wire_event events[EVENTS_MAX];
	uint32_t event_count;
	struct tl_batch_result result; /* of the last job read */
};

static void
open_store(struct place *p)
{
	struct tl_store_options options = {.dir = p->dir, .create = true};

	assert_int_equal(tl_store_open(&options, &p->store, &p->why), TL_OK);
	assert_int_equal(tl_roster_open(p->store, &p->roster, &p->why), TL_OK);
}

static enum tl_err
open_commit(struct place *p)
{
	enum tl_err err = commit_open(p->store, &p->settings, p->now_ms, &p->commit, &p->why);

	if (!err)
		err = commit_attach(p->commit, p->store, p->roster, NULL, &p->stats, &p->why);
	return err;
}

static void
close_all(struct place *p)
{
	commit_free(p->commit);
	p->commit = NULL;
	tl_roster_free(p->roster);
	tl_store_close(p->store);
}

static enum tl_err
reopen(struct place *p)
{
	close_all(p);
	open_store(p);
	return open_commit(p);
}

#define REOPEN(p) assert_int_equal(reopen(p), TL_OK)

static void
put_credential(struct tl_edit *edit, struct tl_credential credential, char *token_out, char *id_out)
{
	credential.name = "";
	tl_token_make(credential.type, &credential, token_out);
	assert_int_equal(tl_edit_put_credential(edit, &credential), TL_OK);
	if (id_out)
		strcpy(id_out, credential.key_id);
}

static void
fill_registry(struct place *p)
{
	struct tl_org org = {.name = "Acme", .created_ms = NOW_MS};
	struct tl_write *write;
	struct tl_edit *edit;
	uint32_t no;

	assert_int_equal(tl_write_new(p->store, &write), TL_OK);
	assert_int_equal(tl_edit_begin(p->roster, write, &edit), TL_OK);
	assert_int_equal(tl_zone_get(tl_slice_str("UTC"), &org.zone, NULL), TL_OK);
	assert_int_equal(tl_edit_put_org(edit, &org, &no), TL_OK);
	put_credential(edit, (struct tl_credential){.type = TL_CREDENTIAL_GATEWAY, .org_no = no},
		p->gateway, p->gateway_id);
	put_credential(edit,
		(struct tl_credential){
			.type = TL_CREDENTIAL_PERSON, .org_no = no, .is_admin = true},
		p->admin, NULL);
	put_credential(
		edit, (struct tl_credential){.type = TL_CREDENTIAL_GATEWAY}, p->all_orgs, NULL);
	assert_int_equal(tl_write_commit(write, TL_SYNC, NULL), TL_OK);
	tl_edit_publish(edit);
	tl_write_free(write);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/commit.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->settings = (struct ingest_settings){
		.accept_past_days = 35,
		.retention_days = 400,
		.id_index_bytes_max = 64 << 20,
		.queue_bytes_max = 64 << 20,
	};
	p->now_ms = NOW_MS;
	tl_arena_init(&p->arena, (size_t)64 << 20);
	tl_buf_init(&p->buf, 0);
	for (size_t i = 0; i < JOBS_MAX; i++) {
		tl_arena_init(&p->works[i].arena, (size_t)16 << 20);
		tl_buf_init(&p->works[i].frame, 0);
		tl_buf_init(&p->works[i].job.reply, 0);
	}
	open_store(p);
	fill_registry(p);
	assert_int_equal(open_commit(p), TL_OK);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	char command[64];

	close_all(p);
	for (size_t i = 0; i < JOBS_MAX; i++) {
		tl_buf_fini(&p->works[i].job.reply);
		tl_buf_fini(&p->works[i].frame);
		tl_arena_fini(&p->works[i].arena);
	}
	tl_buf_fini(&p->buf);
	tl_arena_fini(&p->arena);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static void
make_id(uint64_t no, uint8_t id_out[16])
{
	memset(id_out, 1, 16);
	tl_put_be64(id_out, no);
}

/* One more event of the next batch, id no: 10 tokens in, 20 out, 5 nano-dollars. */
static struct tl_wire_event *
add(struct place *p, uint64_t no)
{
	struct tl_wire_event *event = &p->events[p->event_count++];

	assert_true(p->event_count <= EVENTS_MAX);
	*event = (struct tl_wire_event){
		.ts_ms = NOW_MS - 60000,
		.email = tl_slice_str("ann@acme.example"),
		.agent = tl_slice_str("codex"),
		.session = tl_slice_str("session-1"),
		.provider = tl_slice_str("openai"),
		.model = tl_slice_str("gpt"),
		.input_tokens = 10,
		.output_tokens = 20,
		.cost_nusd = 5,
		.status = 200,
		.duration_ms = 900,
		.repo = tl_slice_str("acme/web"),
	};
	make_id(no, event->id);
	return event;
}

/* An added event becomes a link of its session. */
static void
make_link(struct tl_wire_event *event, enum tl_link_op op, const char *value)
{
	struct tl_wire_event link = {
		.ts_ms = event->ts_ms,
		.kind = TL_KIND_LINK,
		.session = event->session,
		.link_op = op,
		.value = tl_slice_str(value),
	};

	memcpy(link.id, event->id, sizeof(link.id));
	*event = link;
}

/* What was added becomes a batch of the next group. */
static struct work *
batch_from(struct place *p, const char *token, bool import)
{
	const struct tl_registry *registry = tl_registry_pin(p->roster);
	struct admit_rules rules = {
		.now_ms = p->now_ms,
		.accept_past_days = p->settings.accept_past_days,
		.retention_days = p->settings.retention_days,
	};
	struct work *work = &p->works[p->job_count++];

	assert_true(p->job_count <= JOBS_MAX);
	tl_arena_reset(&work->arena);
	tl_buf_reset(&work->frame);
	tl_buf_reset(&work->job.reply);
	tl_batch_put_rows(&work->frame, tl_slice_str(token), tl_slice_str("b"), import, p->events,
		p->event_count);
	assert_int_equal(work->frame.err, TL_OK);
	assert_int_equal(admit_batch(tl_buf_slice(&work->frame), registry, &rules, &work->arena,
				 &work->admitted, &p->why),
		TL_OK);
	tl_registry_unpin(registry);
	work->job.is_command = false;
	work->job.admitted = &work->admitted;
	p->event_count = 0;
	return work;
}

static struct work *
batch(struct place *p)
{
	return batch_from(p, p->gateway, false);
}

/* A command of the next group, given by the operator for the org. */
static struct work *
command(struct place *p, const char *op, const char *key, const char *value)
{
	struct work *work = &p->works[p->job_count++];
	const struct tl_registry *registry = tl_registry_pin(p->roster);
	struct tl_pack_open map;

	tl_buf_reset(&work->frame);
	tl_buf_reset(&work->job.reply);
	map = tl_pack_open_map(&work->frame);
	tl_pack_key_int(&work->frame, &map, "v", 1);
	tl_pack_key_str(&work->frame, &map, "op", op);
	if (key)
		tl_pack_key_str(&work->frame, &map, key, value);
	tl_pack_close(&work->frame, &map);
	work->job.is_command = true;
	work->job.admitted = NULL;
	assert_int_equal(
		tl_command_read(tl_buf_slice(&work->frame), &work->job.command, &p->why), TL_OK);
	assert_int_equal(tl_caller_resolve(registry, tl_slice_str(""),
				 tl_slice_str(strcmp(op, "org_create") == 0 ? "" : "Acme"), true,
				 p->now_ms, &work->job.caller, &p->why),
		TL_OK);
	tl_registry_unpin(registry);
	return work;
}

static enum tl_err
try_group(struct place *p)
{
	struct commit_job *jobs[JOBS_MAX];
	uint32_t count = p->job_count;

	for (uint32_t i = 0; i < count; i++)
		jobs[i] = &p->works[i].job;
	p->job_count = 0;
	return commit_group(p->commit, jobs, count, p->now_ms, &p->why);
}

static void
group(struct place *p)
{
	enum tl_err err = try_group(p);

	if (err)
		print_message("%s: %s\n", tl_err_name(err), p->why.text);
	assert_int_equal(err, TL_OK);
}

static void
read_reply(struct place *p, struct work *work)
{
	assert_int_equal(
		tl_batch_answer_read(tl_buf_slice(&work->job.reply), &p->result, &p->why), TL_OK);
}

/* "accepted duplicate replaced rejected" of a batch. */
static void
check(struct place *p, struct work *work, const char *wanted)
{
	char text[80];

	read_reply(p, work);
	snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
		p->result.accepted, p->result.duplicate, p->result.replaced, p->result.rejected);
	assert_string_equal(text, wanted);
}

/* Commit what was added as a group of one batch and check the counts. */
static void
push(struct place *p, const char *wanted)
{
	struct work *work = batch(p);

	group(p);
	check(p, work, wanted);
}

static void
import_batch(struct place *p, const char *wanted)
{
	struct work *work = batch_from(p, p->admin, true);

	group(p);
	check(p, work, wanted);
}

/* The code of a batch's first refused event, and its field. */
static void
check_first_error(struct place *p, const char *code, const char *field)
{
	struct tl_reader reader = tl_reader_of(p->result.errors);
	struct tl_slice first;

	assert_true(tl_read_array(&reader) > 0);
	first = tl_read_any(&reader);
	assert_int_equal(reader.err, TL_OK);
	assert_true(tl_slice_eq(tl_reader_find_str(first, "code"), tl_slice_str(code)));
	if (field)
		assert_true(tl_slice_eq(tl_reader_find_str(first, "field"), tl_slice_str(field)));
}

/* What lies in the store: every row of every group, by its sign. */
struct recount {
	struct place *p;
	uint64_t groups, blocks, rows;
	int64_t events, cost_nusd;
	int64_t by_day[1000]; /* events on the days before and after today */
	struct tl_map *ids;   /* net rows of an id, and its rev */
	uint64_t seq;
	struct tl_batch last; /* the last row seen */
	struct tl_arena arena;
	struct tl_buf buf;
};

static void
count_row(struct recount *r, const struct tl_batch *rows, uint32_t i, int64_t received_ms,
	int64_t day_ms)
{
	int64_t sign = tl_batch_get(rows, TL_COL_SIGN, i);
	int64_t time_ms = tl_event_time(tl_batch_get(rows, TL_COL_TS, i), received_ms);
	struct tl_totals totals;
	uint64_t net = 0;

	/* A row counts on the day whose family it lies in. */
	assert_int_equal(tl_bucket_floor(TL_SPAN_1D, time_ms), day_ms);
	tl_event_totals(rows, i, &totals);
	r->events += sign;
	r->cost_nusd += sign * totals.cost_nusd;
	r->by_day[500 + (day_ms - TODAY_MS) / TL_DAY_MS] += sign;
	(void)tl_map_get(r->ids, tl_slice_of(rows->id[i], 16), &net);
	net += (uint64_t)sign;
	assert_int_equal(tl_map_put(r->ids, tl_slice_of(rows->id[i], 16), net), TL_OK);
}

static enum tl_err
count_group(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct recount *r = arg;

	(void)why;
	r->groups++;
	assert_int_equal(row->seq_first, r->seq + 1);
	for (uint32_t k = 0; k < row->block_count; k++) {
		const struct tl_journal_block *block = &row->blocks[k];
		struct tl_key key = tl_key_block(row->group_no, block->block_no);
		struct tl_day *day = tl_day_pin(r->p->store, block->day_ms);
		struct tl_block_head head;

		assert_non_null(day);
		assert_int_equal(
			tl_day_get(r->p->store, NULL, day, tl_key_slice(&key), &r->buf, NULL),
			TL_OK);
		tl_day_unpin(day);
		tl_arena_reset(&r->arena);
		assert_int_equal(tl_block_decode(tl_buf_slice(&r->buf), TL_BLOCK_ALL_COLUMNS,
					 &r->arena, &head, &r->last),
			TL_OK);
		assert_int_equal(head.row_count, block->row_count);
		assert_int_equal(head.cost_nusd, block->cost_nusd);
		for (uint32_t i = 0; i < head.row_count; i++)
			count_row(r, &r->last, i, head.received_ms, block->day_ms);
		r->blocks++;
		r->rows += head.row_count;
	}
	r->seq = row->seq_last;
	assert_int_equal(r->seq, r->rows);
	return TL_OK;
}

static void
recount(struct place *p, struct recount *r)
{
	struct tl_slice id;
	size_t cursor = 0;
	uint64_t net;

	*r = (struct recount){.p = p};
	tl_arena_init(&r->arena, (size_t)64 << 20);
	tl_buf_init(&r->buf, 0);
	assert_int_equal(tl_map_new(1000000, &r->ids), TL_OK);
	assert_int_equal(tl_journal_walk(p->store, 1, count_group, r, &p->why), TL_OK);
	assert_int_equal(r->groups, commit_group_no(p->commit));
	assert_int_equal(r->seq, commit_seq(p->commit));
	/* However often it was sent or corrected: once. */
	while (tl_map_next(r->ids, &cursor, &id, &net))
		assert_int_equal(net, 1);
	assert_int_equal(tl_map_count(r->ids), r->events);
}

static void
recount_end(struct recount *r)
{
	tl_map_free(r->ids);
	tl_buf_fini(&r->buf);
	tl_arena_fini(&r->arena);
}

static void
check_recount(struct place *p, int64_t events, int64_t cost_nusd)
{
	struct recount r;

	recount(p, &r);
	assert_int_equal(r.events, events);
	assert_int_equal(r.cost_nusd, cost_nusd);
	recount_end(&r);
}

/* The counters of the gateway on the day of arrival. */
static struct tl_intake_row
intake_row(struct place *p)
{
	struct tl_intake_row row;
	struct tl_key key;
	uint32_t source;

	assert_int_equal(tl_dict_find(p->store, NULL, 1, TL_NAME_TEXT, tl_slice_str(p->gateway_id),
				 &source, &p->why),
		TL_OK);
	key = tl_key_intake(1, tl_bucket_floor(TL_SPAN_1D, p->now_ms), source);
	assert_int_equal(tl_store_get(p->store, NULL, TL_FAMILY_INTAKE, tl_key_slice(&key), &p->buf,
				 &p->why),
		TL_OK);
	assert_int_equal(tl_intake_row_decode(tl_buf_slice(&p->buf), &row), TL_OK);
	assert_int_equal(row.received,
		row.accepted + row.duplicate + row.replaced + row.conflict + row.rejected);
	return row;
}

static void
new_events_are_accepted_and_numbered(void **state)
{
	struct place *p = *state;

	add(p, 1);
	add(p, 2);
	add(p, 3);
	push(p, "3 0 0 0");
	assert_int_equal(p->result.seq, 3);
	assert_int_equal(p->result.epoch, tl_store_epoch(p->store));
	assert_int_equal(commit_group_no(p->commit), 1);
	add(p, 4);
	push(p, "1 0 0 0");
	assert_int_equal(p->result.seq, 4);
	assert_int_equal(p->stats.committed_group_no, 2);
	assert_int_equal(p->stats.committed_seq, 4);
	assert_int_equal(p->stats.id_count, 4);
	check_recount(p, 4, 20);
}

static void
an_event_sent_again_is_a_duplicate_wherever_the_first_lies(void **state)
{
	struct place *p = *state;
	struct work *first, *second;

	/* In one batch. */
	add(p, 1);
	add(p, 1);
	push(p, "1 1 0 0");
	/* In two batches of one group. */
	add(p, 2);
	first = batch(p);
	add(p, 2);
	add(p, 1);
	second = batch(p);
	group(p);
	check(p, first, "1 0 0 0");
	check(p, second, "0 2 0 0");
	/* In another group. */
	add(p, 1);
	add(p, 2);
	push(p, "0 2 0 0");
	/* After a restart, when only the stored rows know what they were. */
	REOPEN(p);
	add(p, 1);
	add(p, 2);
	add(p, 3);
	push(p, "1 2 0 0");
	check_recount(p, 3, 15);
}

static void
duplicates_alone_make_no_group(void **state)
{
	struct place *p = *state;

	add(p, 1);
	push(p, "1 0 0 0");
	add(p, 1);
	push(p, "0 1 0 0");
	assert_int_equal(commit_group_no(p->commit), 1);
	assert_int_equal(p->result.seq, 1);
	assert_int_equal(intake_row(p).duplicate, 1);
}

static void
other_ts(struct tl_wire_event *event)
{
	event->ts_ms--;
}
static void
other_email(struct tl_wire_event *event)
{
	event->email = tl_slice_str("bob@acme.example");
}
static void
no_email(struct tl_wire_event *event)
{
	event->email = tl_slice_str("");
	event->agent = tl_slice_str("");
}
static void
other_agent(struct tl_wire_event *event)
{
	event->agent = tl_slice_str("opencode");
}
static void
no_agent(struct tl_wire_event *event)
{
	event->agent = tl_slice_str("");
}
static void
other_session(struct tl_wire_event *event)
{
	event->session = tl_slice_str("session-2");
}
static void
other_provider(struct tl_wire_event *event)
{
	event->provider = tl_slice_str("azure");
}
static void
other_model(struct tl_wire_event *event)
{
	event->model = tl_slice_str("opus");
}
static void
other_input(struct tl_wire_event *event)
{
	event->input_tokens = 11;
}
static void
other_cache_read(struct tl_wire_event *event)
{
	event->cache_read_tokens = 1;
}
static void
other_cache_write(struct tl_wire_event *event)
{
	event->cache_write_tokens = 1;
}
static void
other_output(struct tl_wire_event *event)
{
	event->output_tokens = 21;
}
static void
other_reasoning(struct tl_wire_event *event)
{
	event->reasoning_tokens = 1;
}
static void
other_cost(struct tl_wire_event *event)
{
	event->cost_nusd = 6;
}
static void
no_cost(struct tl_wire_event *event)
{
	event->cost_nusd = TL_WIRE_ABSENT;
}
static void
other_saved_tokens(struct tl_wire_event *event)
{
	event->saved_tokens = 1;
}
static void
other_saved_nusd(struct tl_wire_event *event)
{
	event->saved_nusd = 1;
}
static void
other_status(struct tl_wire_event *event)
{
	event->status = 500;
}
static void
other_duration(struct tl_wire_event *event)
{
	event->duration_ms = 901;
}
static void
other_repo(struct tl_wire_event *event)
{
	event->repo = tl_slice_str("acme/api");
}
static void
other_pr(struct tl_wire_event *event)
{
	event->pr = 7;
}
static void
other_branch(struct tl_wire_event *event)
{
	event->branch = tl_slice_str("main");
}
static void
other_commit(struct tl_wire_event *event)
{
	event->commit = tl_slice_str("abcdef0");
}
static void
other_billing(struct tl_wire_event *event)
{
	event->is_plan = true;
}

static const struct {
	void (*change)(struct tl_wire_event *event);
	const char *field;
} changes[] = {
	{other_ts, "ts"},
	{other_email, "member"},
	{no_email, "member"},
	{other_agent, "agent"},
	{no_agent, "agent"},
	{other_session, "session"},
	{other_provider, "provider"},
	{other_model, "model"},
	{other_input, "input_tokens"},
	{other_cache_read, "cache_read_tokens"},
	{other_cache_write, "cache_write_tokens"},
	{other_output, "output_tokens"},
	{other_reasoning, "reasoning_tokens"},
	{other_cost, "cost_nusd"},
	{no_cost, "cost_nusd"},
	{other_saved_tokens, "saved_tokens"},
	{other_saved_nusd, "saved_nusd"},
	{other_status, "status"},
	{other_duration, "duration_ms"},
	{other_repo, "repo"},
	{other_pr, "pr"},
	{other_branch, "branch"},
	{other_commit, "commit"},
	{other_billing, "billing"},
};

/* How often an event was kept for this field, NULL: any. Each row is whole. */
static uint32_t
count_quarantine(struct place *p, const char *field)
{
	struct tl_slice none = {0};
	struct tl_slice key, value;
	struct tl_scan *scan;
	uint32_t count = 0;

	assert_int_equal(
		tl_scan_open(p->store, NULL, TL_FAMILY_QUARANTINE, none, none, &scan, NULL), TL_OK);
	while (tl_scan_next(scan, &key, &value, NULL) == TL_OK) {
		struct tl_quarantine_row kept;
		struct tl_block_head head;
		struct tl_batch row;

		assert_int_equal(tl_quarantine_row_decode(value, &kept), TL_OK);
		if (field == NULL || tl_slice_eq(kept.field, tl_slice_str(field)))
			count += (uint32_t)kept.times;
		tl_arena_reset(&p->arena);
		assert_int_equal(
			tl_block_decode(kept.block, TL_BLOCK_ALL_COLUMNS, &p->arena, &head, &row),
			TL_OK);
		assert_int_equal(head.received_ms, kept.last_ms);
		assert_int_equal(head.row_count, 1);
	}
	tl_scan_free(scan);
	return count;
}

static void
other_content_is_a_conflict_that_names_the_field(void **state)
{
	struct place *p = *state;

	for (size_t i = 0; i < COUNT(changes); i++) {
		add(p, 1 + i);
		push(p, "1 0 0 0");
	}
	for (size_t i = 0; i < COUNT(changes); i++) {
		uint32_t before = count_quarantine(p, changes[i].field);

		/* Against the stored row, and after a restart. */
		for (int round = 0; round < 2; round++) {
			changes[i].change(add(p, 1 + i));
			push(p, "0 0 0 1");
			check_first_error(p, "id_conflict", changes[i].field);
			if (i % 4 == 0)
				REOPEN(p);
		}
		assert_int_equal(count_quarantine(p, changes[i].field), before + 2);
	}
	/* The first stays, and is still itself. */
	add(p, 1);
	push(p, "0 1 0 0");
	check_recount(p, COUNT(changes), 5 * COUNT(changes));
	assert_int_equal(intake_row(p).conflict, 2 * COUNT(changes));
	assert_int_equal(intake_row(p).rejected, 0);
}

static uint32_t
count_quarantine_rows(struct place *p)
{
	struct tl_slice none = {0};
	struct tl_slice key, value;
	struct tl_scan *scan;
	uint32_t count = 0;

	assert_int_equal(
		tl_scan_open(p->store, NULL, TL_FAMILY_QUARANTINE, none, none, &scan, NULL), TL_OK);
	while (tl_scan_next(scan, &key, &value, NULL) == TL_OK)
		count++;
	tl_scan_free(scan);
	return count;
}

/* What a sender that repeats itself leaves is bounded: a row an id, for as long as an id lives. */
static void
conflicts_of_one_id_are_one_row_that_ends(void **state)
{
	struct place *p = *state;
	static const uint8_t old_key[16] = {0, 0, 0, 1};

	tl_write_put(p->commit->write, TL_FAMILY_QUARANTINE, tl_slice_of(old_key, 16),
		tl_slice_str("of format 1"));
	assert_int_equal(tl_write_commit(p->commit->write, TL_SYNC, NULL), TL_OK);
	assert_int_equal(count_quarantine_rows(p), 1);
	add(p, 1);
	add(p, 2);
	push(p, "2 0 0 0");
	assert_int_equal(count_quarantine_rows(p), 0);
	for (int i = 0; i < 2; i++) {
		other_cost(add(p, 1));
		other_pr(add(p, 1)); /* twice in a group */
		push(p, "0 0 0 2");
		REOPEN(p);
	}
	other_cost(add(p, 2));
	push(p, "0 0 0 1");
	assert_int_equal(count_quarantine_rows(p), 2);
	assert_int_equal(count_quarantine(p, "pr"), 4); /* the last of them tells the field */
	assert_int_equal(count_quarantine(p, "cost_nusd"), 1);
	p->now_ms += 34 * TL_DAY_MS;
	add(p, 3)->ts_ms = p->now_ms;
	push(p, "1 0 0 0");
	other_cost(add(p, 2));
	push(p, "0 0 0 1");
	p->now_ms += 3 * TL_DAY_MS;
	for (uint64_t i = 4; i < 6; i++) { /* the day turns, then they are looked at */
		add(p, i)->ts_ms = p->now_ms;
		push(p, "1 0 0 0");
	}
	assert_int_equal(count_quarantine_rows(p), 1);
	assert_int_equal(count_quarantine(p, "cost_nusd"), 2);
}

static void
a_conflict_is_seen_within_a_group_and_a_batch(void **state)
{
	struct place *p = *state;
	struct work *first, *second;

	add(p, 1);
	other_model(add(p, 1));
	first = batch(p);
	other_cost(add(p, 1));
	second = batch(p);
	group(p);
	check(p, first, "1 0 0 1");
	check_first_error(p, "id_conflict", "model");
	check(p, second, "0 0 0 1");
	check_first_error(p, "id_conflict", "cost_nusd");
	check_recount(p, 1, 5);
}

static void
a_higher_rev_replaces_and_a_lower_one_is_stale(void **state)
{
	struct place *p = *state;
	struct tl_wire_event *event;

	for (int round = 0; round < 2; round++) {
		uint64_t no = 10 + (uint64_t)round;

		add(p, no);
		push(p, "1 0 0 0");
		if (round == 1)
			REOPEN(p);
		event = add(p, no);
		event->rev = 2;
		event->cost_nusd = 50;
		event->email = tl_slice_str("bob@acme.example");
		push(p, "0 0 1 0");
		if (round == 1)
			REOPEN(p);
		/* The same again, an older one, and the first. */
		event = add(p, no);
		*event = (struct tl_wire_event) * event;
		event->rev = 2;
		event->cost_nusd = 50;
		event->email = tl_slice_str("bob@acme.example");
		add(p, no)->rev = 1;
		add(p, no);
		push(p, "0 3 0 0");
		/* The same rev with another content. */
		add(p, no)->rev = 2;
		push(p, "0 0 0 1");
		check_first_error(p, "id_conflict", "member");
		event = add(p, no);
		event->rev = 3;
		event->cost_nusd = 7;
		push(p, "0 0 1 0");
		check_recount(p, round + 1, 7 * (round + 1));
	}
}

static void
a_rev_replaces_within_its_group(void **state)
{
	struct place *p = *state;
	struct work *first, *second;
	struct recount r;

	add(p, 1);
	add(p, 1)->rev = 1;
	add(p, 2)->rev = 1;
	add(p, 2);
	first = batch(p);
	add(p, 1)->rev = 5;
	p->events[0].cost_nusd = 100;
	p->events[0].ts_ms -= 3 * TL_DAY_MS;
	second = batch(p);
	group(p);
	check(p, first, "2 1 1 0");
	check(p, second, "0 0 1 0");
	/* What was replaced before it was stored is not stored. */
	recount(p, &r);
	assert_int_equal(r.rows, 2);
	assert_int_equal(r.cost_nusd, 105);
	assert_int_equal(r.by_day[500 - 3], 1);
	assert_int_equal(r.by_day[500], 1);
	recount_end(&r);
	assert_int_equal(p->result.seq, 2);
	/* And its place is right: another rev finds it. */
	add(p, 1)->rev = 6;
	push(p, "0 0 1 0");
	check_recount(p, 2, 10);
}

static void
a_rev_takes_the_event_to_another_day(void **state)
{
	struct place *p = *state;
	struct tl_wire_event *event;
	struct recount r;

	add(p, 1);
	push(p, "1 0 0 0");
	event = add(p, 1);
	event->rev = 1;
	event->ts_ms -= 10 * TL_DAY_MS;
	push(p, "0 0 1 0");
	recount(p, &r);
	assert_int_equal(r.rows, 3);
	assert_int_equal(r.blocks, 3);
	assert_int_equal(r.by_day[500], 0);
	assert_int_equal(r.by_day[490], 1);
	recount_end(&r);
}

static void
a_stamp_ahead_is_taken_back_where_it_was_counted(void **state)
{
	struct place *p = *state;
	struct tl_wire_event *event;
	struct recount r;

	/* Two minutes before midnight, an event from three minutes ahead: it counts today. */
	p->now_ms = TODAY_MS + TL_DAY_MS - 120000;
	add(p, 1)->ts_ms = p->now_ms + 180000;
	push(p, "1 0 0 0");
	p->now_ms += TL_HOUR_MS;
	event = add(p, 1);
	event->ts_ms = p->now_ms;
	event->rev = 1;
	push(p, "0 0 1 0");
	recount(p, &r);
	assert_int_equal(r.by_day[500], 0);
	assert_int_equal(r.by_day[501], 1);
	recount_end(&r);
}

static void
arrival_never_goes_back(void **state)
{
	struct place *p = *state;

	add(p, 1);
	push(p, "1 0 0 0");
	p->now_ms -= TL_HOUR_MS;
	add(p, 1)->ts_ms = p->now_ms;
	p->events[0].rev = 1;
	push(p, "0 0 1 0");
	check_recount(p, 1, 5);
	REOPEN(p);
	assert_int_equal(p->stats.id_count, 1);
}

static void
expire_until(struct place *p, int64_t day_ms)
{
	struct tl_expiry expiry = {.day_ms = day_ms, .session_ms = INT64_MIN};
	struct tl_write *write;

	assert_int_equal(tl_write_new(p->store, &write), TL_OK);
	assert_int_equal(tl_expiry_raise(p->store, write, &expiry, &p->why), TL_OK);
	tl_write_free(write);
}

static void
a_correction_of_an_expired_day_is_refused(void **state)
{
	struct place *p = *state;

	add(p, 1)->ts_ms = NOW_MS - 30 * TL_DAY_MS;
	push(p, "1 0 0 0");
	/* Once with a block that is not remembered, once with one that is. */
	for (int round = 0; round < 2; round++) {
		add(p, 1)->rev = 1;
		p->events[0].ts_ms = NOW_MS - 30 * TL_DAY_MS;
		if (round == 0) {
			push(p, "0 0 1 0");
			assert_int_equal(
				tl_day_drop(p->store, TODAY_MS - 30 * TL_DAY_MS, NULL), TL_OK);
			continue;
		}
		p->events[0].rev = 2;
		p->events[0].cost_nusd = 9;
		push(p, "0 0 0 1");
		check_first_error(p, "rev_after_horizon", "rev");
	}
	/* What cannot be compared any more is what it says it is. */
	add(p, 1)->ts_ms = NOW_MS - 30 * TL_DAY_MS;
	push(p, "0 1 0 0");
	/* The whole day is gone: a hole, unless it is known to have expired. */
	assert_int_equal(reopen(p), TL_EACKED_DATA_MISSING);
	assert_non_null(strstr(p->why.text, "has not expired"));
	expire_until(p, TODAY_MS - 29 * TL_DAY_MS);
	REOPEN(p);
}

static void
a_group_has_one_block_a_day(void **state)
{
	struct place *p = *state;
	struct recount r;

	for (uint32_t i = 0; i < 100; i++)
		add(p, i)->ts_ms = NOW_MS - (int64_t)(i % 5) * 7 * TL_DAY_MS - i * 1000;
	push(p, "100 0 0 0");
	recount(p, &r);
	assert_int_equal(r.groups, 1);
	assert_int_equal(r.blocks, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(r.by_day[500 - 7 * i], 20);
	recount_end(&r);
	REOPEN(p);
	for (uint32_t i = 0; i < 100; i++)
		add(p, i)->ts_ms = NOW_MS - (int64_t)(i % 5) * 7 * TL_DAY_MS - i * 1000;
	push(p, "0 100 0 0");
}

static void
counts_add_up_in_every_answer_and_in_the_counters(void **state)
{
	struct place *p = *state;
	struct tl_intake_row row;

	add(p, 1);
	add(p, 2)->cost_nusd = TL_WIRE_ABSENT;
	add(p, 3)->ts_ms = NOW_MS - TL_HOUR_MS - 1;
	add(p, 4)->ts_ms = NOW_MS - TL_HOUR_MS;
	push(p, "4 0 0 0");
	add(p, 1);
	add(p, 2)->rev = 1;
	other_model(add(p, 3));
	add(p, 5)->ts_ms = NOW_MS - 36 * TL_DAY_MS;
	add(p, 6)->model = tl_slice_str("");
	add(p, 7)->cost_nusd = -1;
	add(p, 8);
	push(p, "1 1 1 4");
	row = intake_row(p);
	assert_int_equal(row.received, 11);
	assert_int_equal(row.accepted, 5);
	assert_int_equal(row.duplicate, 1);
	assert_int_equal(row.replaced, 1);
	assert_int_equal(row.conflict, 1);
	assert_int_equal(row.rejected, 3);
	assert_int_equal(row.rejected_by[TL_ETIME_TOO_OLD], 1);
	assert_int_equal(row.rejected_by[TL_EAMOUNT_NEGATIVE], 1);
	assert_int_equal(row.late, 1);
	assert_int_equal(row.unpriced, 1);
	assert_int_equal(tl_counter_get(&p->stats.events), 11);
	assert_int_equal(tl_counter_get(&p->stats.rejected), 4);
	/* Absolute values go on after a restart, and begin again the next day. */
	REOPEN(p);
	add(p, 1);
	push(p, "0 1 0 0");
	assert_int_equal(intake_row(p).duplicate, 2);
	p->now_ms += TL_DAY_MS;
	add(p, 1);
	push(p, "0 1 0 0");
	assert_int_equal(intake_row(p).received, 1);
}

static void
members_and_agents_appear_with_their_first_event(void **state)
{
	struct place *p = *state;
	const struct tl_registry *registry;
	const struct tl_org *org;
	const struct tl_member *member;
	struct recount r;

	add(p, 1);
	add(p, 2);
	add(p, 3)->email = tl_slice_str("bob@acme.example");
	push(p, "3 0 0 0");
	registry = tl_registry_pin(p->roster);
	org = tl_registry_org(registry, 1);
	assert_int_equal(org->member_count, 2);
	assert_int_equal(org->agent_count, 2);
	member = tl_org_member(org, 1);
	assert_string_equal(member->email, "ann@acme.example");
	assert_int_equal(member->state, TL_MEMBER_ACTIVE);
	assert_int_equal(tl_org_agent(org, 2)->member_no, 2);
	tl_registry_unpin(registry);
	recount(p, &r);
	assert_int_equal(tl_batch_get(&r.last, TL_COL_MEMBER, 1), 1);
	assert_int_equal(tl_batch_get(&r.last, TL_COL_AGENT, 2), 2);
	recount_end(&r);
	/* They are there after a restart, and the same. */
	REOPEN(p);
	add(p, 1);
	add(p, 4);
	push(p, "1 1 0 0");
	registry = tl_registry_pin(p->roster);
	assert_int_equal(tl_registry_org(registry, 1)->member_count, 2);
	tl_registry_unpin(registry);
}

static void
a_resend_does_not_bring_a_removed_member_back_but_a_new_event_does(void **state)
{
	struct place *p = *state;
	const struct tl_registry *registry;
	struct tl_edit *edit;
	struct tl_write *write;
	struct tl_member member;
	uint32_t no;

	add(p, 1);
	push(p, "1 0 0 0");
	assert_int_equal(tl_write_new(p->store, &write), TL_OK);
	assert_int_equal(tl_edit_begin(p->roster, write, &edit), TL_OK);
	member = *tl_org_member(tl_edit_org(edit, 1), 1);
	member.state = TL_MEMBER_REMOVED;
	assert_int_equal(tl_edit_put_member(edit, 1, &member, &no), TL_OK);
	assert_int_equal(tl_write_commit(write, TL_SYNC, NULL), TL_OK);
	tl_edit_publish(edit);
	tl_write_free(write);

	for (uint64_t id = 1; id <= 2; id++) {
		add(p, id);
		push(p, id == 1 ? "0 1 0 0" : "1 0 0 0");
		registry = tl_registry_pin(p->roster);
		assert_int_equal(tl_org_member(tl_registry_org(registry, 1), 1)->state,
			id == 1 ? TL_MEMBER_REMOVED : TL_MEMBER_ACTIVE);
		tl_registry_unpin(registry);
	}
}

static void
enrolling_an_agent_does_not_change_what_was_sent_before(void **state)
{
	struct place *p = *state;
	struct tl_agent agent = {.member_no = 1, .type = "codex", .enrolled = true, .live = true};
	struct tl_edit *edit;
	struct tl_write *write;
	uint32_t no;

	add(p, 1);
	push(p, "1 0 0 0");
	assert_int_equal(tl_write_new(p->store, &write), TL_OK);
	assert_int_equal(tl_edit_begin(p->roster, write, &edit), TL_OK);
	assert_int_equal(tl_edit_put_agent(edit, 1, &agent, &no), TL_OK);
	assert_int_equal(tl_write_commit(write, TL_SYNC, NULL), TL_OK);
	tl_edit_publish(edit);
	tl_write_free(write);
	add(p, 1);
	push(p, "0 1 0 0");
	other_agent(add(p, 1));
	push(p, "0 0 0 1");
	check_first_error(p, "id_conflict", "agent");
}

static void
links_are_stored_as_ids_and_compared_like_other_events(void **state)
{
	static const struct {
		enum tl_link_op op;
		const char *value;
		const char *other;
		const char *field;
	} cases[] = {
		{TL_LINK_SET_REPO, "acme/web", "acme/api", "repo"},
		{TL_LINK_ADD_PR, "acme/web#7", "acme/web#8", "pr"},
		{TL_LINK_ADD_PR, "#7", "acme/web#7", "repo"},
		{TL_LINK_ADD_COMMIT, "abcdef0", "abcdef1", "value"},
		{TL_LINK_SET_NAME, "one", "two", "value"},
	};
	struct place *p = *state;
	struct recount r;

	for (size_t i = 0; i < COUNT(cases); i++) {
		for (int round = 0; round < 3; round++) {
			make_link(add(p, 100 + i), cases[i].op,
				round == 2 ? cases[i].other : cases[i].value);
			push(p, round == 0 ? "1 0 0 0" : round == 1 ? "0 1 0 0" : "0 0 0 1");
		}
		check_first_error(p, "id_conflict", cases[i].field);
	}
	recount(p, &r);
	assert_int_equal(r.events, COUNT(cases));
	assert_int_equal(r.cost_nusd, 0);
	recount_end(&r);
}

static void
repos_past_the_limit_count_as_other(void **state)
{
	struct place *p = *state;
	static char names[EVENTS_MAX][40];
	struct work *work;
	uint32_t other;

	for (uint32_t b = 0; b < TL_REPOS_MAX / EVENTS_MAX; b++) {
		for (uint32_t i = 0; i < EVENTS_MAX; i++) {
			uint32_t no = b * EVENTS_MAX + i;

			snprintf(names[i], sizeof(names[i]), "acme/repo-%" PRIu32, no);
			add(p, 1000 + no)->repo = tl_slice_str(names[i]);
		}
		push(p, "1000 0 0 0");
	}
	add(p, 1)->repo = tl_slice_str("acme/one-more");
	p->events[0].pr = 7;
	add(p, 2)->repo = tl_slice_str("acme/repo-5");
	push(p, "2 0 0 0");
	assert_int_equal(intake_row(p).dropped_tags, 1);
	assert_int_equal(
		tl_dict_find(p->store, NULL, 1, TL_NAME_REPO, tl_slice_str("other"), &other, NULL),
		TL_OK);
	assert_int_equal(tl_dict_find(p->store, NULL, 1, TL_NAME_REPO,
				 tl_slice_str("github.com/acme/one-more"), &other, NULL),
		TL_ENOT_FOUND);
	/* The same again is the same, also after a restart. */
	for (int round = 0; round < 2; round++) {
		add(p, 1)->repo = tl_slice_str("acme/one-more");
		p->events[0].pr = 7;
		work = batch(p);
		group(p);
		check(p, work, "0 1 0 0");
		REOPEN(p);
	}
}

static void
pull_requests_past_the_limit_are_dropped(void **state)
{
	static const struct {
		const char *repo;
		int64_t pr; /* of an event */
		const char *link;
		int64_t dropped;
	} cases[] = {
		{"acme/web", 5, NULL, 0},
		{"acme/web", TL_PULLS_MAX + 1, NULL, 1},
		{"acme/api", 5, NULL, 1},	   /* of another repo */
		{NULL, TL_PULLS_MAX + 1, NULL, 0}, /* names nothing */
		{NULL, 0, "acme/web#5", 0},
		{NULL, 0, "acme/web#100001", 1},
		{NULL, 0, "#5", 1},
	};
	struct place *p = *state;

	for (uint32_t b = 0; b < TL_PULLS_MAX / EVENTS_MAX; b++) {
		for (uint32_t i = 0; i < EVENTS_MAX; i++)
			add(p, 1000 + b * EVENTS_MAX + i)->pr = 1 + b * EVENTS_MAX + i;
		push(p, "1000 0 0 0");
	}
	assert_int_equal(intake_row(p).dropped_tags, 0);
	/* The same again is the same, also after a restart, and its usage was taken. */
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT(cases); i++) {
			int64_t dropped = intake_row(p).dropped_tags;
			struct tl_wire_event *event = add(p, 1 + i);

			event->repo = tl_slice_str(cases[i].repo != NULL ? cases[i].repo : "");
			event->pr = cases[i].pr;
			if (cases[i].link != NULL)
				make_link(event, TL_LINK_ADD_PR, cases[i].link);
			push(p, round == 0 ? "1 0 0 0" : "0 1 0 0");
			assert_int_equal(intake_row(p).dropped_tags - dropped,
				round == 0 ? cases[i].dropped : 0);
		}
		if (round == 1)
			REOPEN(p);
	}
}

static void
a_restart_knows_every_id_and_goes_on_counting(void **state)
{
	struct place *p = *state;

	for (uint64_t g = 0; g < 20; g++) {
		for (uint64_t i = 0; i < 10; i++)
			add(p, g * 10 + i);
		push(p, "10 0 0 0");
	}
	REOPEN(p);
	assert_int_equal(p->stats.id_count, 200);
	assert_int_equal(commit_group_no(p->commit), 20);
	assert_int_equal(commit_seq(p->commit), 200);
	for (uint64_t i = 0; i < 200; i++)
		add(p, i);
	push(p, "0 200 0 0");
	add(p, 200);
	push(p, "1 0 0 0");
	assert_int_equal(p->result.seq, 201);
	check_recount(p, 201, 1005);
}

static void
ids_are_forgotten_when_their_events_can_no_longer_come(void **state)
{
	struct place *p = *state;

	add(p, 1);
	push(p, "1 0 0 0");
	p->now_ms += 20 * TL_DAY_MS;
	add(p, 2)->ts_ms = p->now_ms;
	push(p, "1 0 0 0");
	p->now_ms += 16 * TL_DAY_MS;
	add(p, 3)->ts_ms = p->now_ms;
	push(p, "1 0 0 0");
	assert_int_equal(p->stats.id_count, 3);
	p->now_ms += TL_DAY_MS;
	add(p, 4)->ts_ms = p->now_ms;
	push(p, "1 0 0 0");
	assert_int_equal(p->stats.id_count, 3);
	REOPEN(p);
	assert_int_equal(p->stats.id_count, 3);
	/* Everything is older than the window: the table is empty, the journal is not. */
	p->now_ms += 100 * TL_DAY_MS;
	REOPEN(p);
	assert_int_equal(p->stats.id_count, 0);
	assert_int_equal(commit_seq(p->commit), 4);
	add(p, 5)->ts_ms = p->now_ms;
	push(p, "1 0 0 0");
	check_recount(p, 5, 25);
}

static void
delete_journal_row(struct place *p, uint64_t group_no)
{
	struct tl_key key = tl_key_journal(group_no);
	struct tl_write *write;

	assert_int_equal(tl_write_new(p->store, &write), TL_OK);
	tl_write_delete(write, TL_FAMILY_JOURNAL, tl_key_slice(&key));
	assert_int_equal(tl_write_commit(write, TL_SYNC, NULL), TL_OK);
	tl_write_free(write);
}

static void
a_missing_journal_row_is_found(void **state)
{
	/* The first, two in the middle, the last before the end, the end. */
	static const uint64_t lost[] = {1, 2, 5, 8, 9};
	struct place *p = *state;

	for (size_t k = 0; k < COUNT(lost); k++) {
		struct tl_key key = tl_key_journal(lost[k]);
		struct tl_write *write;
		struct tl_buf kept;

		while (k == 0 && commit_group_no(p->commit) < 9) {
			add(p, commit_group_no(p->commit));
			push(p, "1 0 0 0");
			p->now_ms += TL_HOUR_MS;
		}
		tl_buf_init(&kept, 0);
		assert_int_equal(tl_store_get(p->store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key),
					 &kept, NULL),
			TL_OK);
		delete_journal_row(p, lost[k]);
		assert_int_equal(reopen(p), TL_EACKED_DATA_MISSING);
		print_message("%s\n", p->why.text);
		assert_int_equal(tl_write_new(p->store, &write), TL_OK);
		tl_write_put(write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&kept));
		assert_int_equal(tl_write_commit(write, TL_SYNC, NULL), TL_OK);
		tl_write_free(write);
		tl_buf_fini(&kept);
		REOPEN(p);
	}
}

static void
a_missing_block_is_found(void **state)
{
	struct tl_journal_block block = {.day_ms = TODAY_MS, .block_no = 0, .row_count = 2};
	struct tl_journal_row row = {.group_no = 2,
		.seq_first = 2,
		.seq_last = 3,
		.received_ms = NOW_MS,
		.blocks = &block,
		.block_count = 1};
	struct place *p = *state;
	struct tl_key key = tl_key_journal(2);
	struct tl_journal_row last;
	struct tl_write *write;

	add(p, 1);
	push(p, "1 0 0 0");
	assert_int_equal(tl_journal_last(p->store, &p->arena, &last, NULL), TL_OK);
	tl_buf_reset(&p->buf);
	tl_journal_encode(&row, last.chain, &p->buf);
	assert_int_equal(tl_write_new(p->store, &write), TL_OK);
	tl_write_put(write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&p->buf));
	assert_int_equal(tl_write_commit(write, TL_SYNC, NULL), TL_OK);
	tl_write_free(write);
	assert_int_equal(reopen(p), TL_EACKED_DATA_MISSING);
	print_message("%s\n", p->why.text);
	assert_non_null(strstr(p->why.text, "group 2"));
	assert_non_null(strstr(p->why.text, "2026-11-21"));
}

static void
a_block_with_other_rows_than_the_journal_says_is_found(void **state)
{
	struct place *p = *state;
	struct tl_key from = tl_key_block(1, 0);
	struct tl_key to = tl_key_block(2, 0);
	struct tl_day *day;
	struct tl_write *write;

	add(p, 1);
	push(p, "1 0 0 0");
	add(p, 2);
	add(p, 3);
	push(p, "2 0 0 0");
	day = tl_day_pin(p->store, TODAY_MS);
	assert_int_equal(
		tl_day_get(p->store, NULL, day, tl_key_slice(&from), &p->buf, NULL), TL_OK);
	assert_int_equal(tl_write_new(p->store, &write), TL_OK);
	tl_write_put_raw(write, day, tl_key_slice(&to), tl_buf_slice(&p->buf));
	assert_int_equal(tl_write_commit(write, TL_SYNC, NULL), TL_OK);
	tl_write_free(write);
	tl_day_unpin(day);
	assert_int_equal(reopen(p), TL_EACKED_DATA_MISSING);
	print_message("%s\n", p->why.text);
}

static void
a_full_id_index_refuses_the_group_and_keeps_what_it_knows(void **state)
{
	struct place *p = *state;
	struct work *work;
	uint64_t no = 0;

	p->settings.id_index_bytes_max = 1; /* the smallest there is: 3,584 ids */
	REOPEN(p);
	for (int b = 0; b < 3; b++) {
		for (uint32_t i = 0; i < EVENTS_MAX; i++)
			add(p, no++);
		push(p, "1000 0 0 0");
	}
	for (uint32_t i = 0; i < EVENTS_MAX; i++)
		add(p, no++);
	work = batch(p);
	assert_int_equal(try_group(p), TL_EID_INDEX_FULL);
	assert_int_equal(
		tl_frame_reply_status(tl_buf_slice(&work->job.reply), NULL), TL_EID_INDEX_FULL);
	assert_int_equal(commit_seq(p->commit), 3000);
	/* Smaller ones still fit. */
	add(p, 1);
	add(p, no);
	push(p, "1 1 0 0");
	check_recount(p, 3001, 15005);
}

static void
an_import_is_exactly_once_however_old(void **state)
{
	struct place *p = *state;
	int64_t old_ms = NOW_MS - 100 * TL_DAY_MS;

	add(p, 1)->ts_ms = old_ms;
	add(p, 2)->ts_ms = old_ms - 50 * TL_DAY_MS;
	import_batch(p, "2 0 0 0");
	add(p, 1)->ts_ms = old_ms;
	import_batch(p, "0 1 0 0");
	/* The import itself is long ago now, too, so the table has forgotten it. */
	p->now_ms += 60 * TL_DAY_MS;
	REOPEN(p);
	assert_int_equal(p->stats.id_count, 0);
	for (int round = 0; round < 2; round++) {
		add(p, 1)->ts_ms = old_ms;
		add(p, 2)->ts_ms = old_ms - 50 * TL_DAY_MS;
		add(p, 3 + (uint64_t)round)->ts_ms = old_ms;
		import_batch(p, "1 2 0 0");
	}
	/* Corrections and conflicts reach back as far. */
	add(p, 2)->ts_ms = old_ms - 50 * TL_DAY_MS;
	p->events[0].rev = 1;
	p->events[0].cost_nusd = 9;
	add(p, 1)->ts_ms = old_ms;
	p->events[1].cost_nusd = 9;
	import_batch(p, "0 0 1 1");
	check_recount(p, 4, 24);
}

static void
an_import_finds_an_event_that_was_moved_to_another_day(void **state)
{
	struct place *p = *state;
	int64_t a_ms = NOW_MS - 100 * TL_DAY_MS;
	int64_t b_ms = NOW_MS - 120 * TL_DAY_MS;

	add(p, 1)->ts_ms = a_ms;
	import_batch(p, "1 0 0 0");
	add(p, 1)->ts_ms = b_ms;
	p->events[0].rev = 1;
	import_batch(p, "0 0 1 0");
	p->now_ms += 60 * TL_DAY_MS;
	REOPEN(p);
	/* Only the day it left is touched; the row that was taken back there is not the event. */
	add(p, 1)->ts_ms = a_ms;
	import_batch(p, "0 1 0 0");
	add(p, 1)->ts_ms = b_ms;
	p->events[0].rev = 1;
	import_batch(p, "0 1 0 0");
	add(p, 1)->ts_ms = a_ms;
	p->events[0].rev = 2;
	import_batch(p, "0 0 1 0");
	check_recount(p, 1, 5);
}

/* Below commit_group, because a store with a thousand days takes minutes to make. */
static void
a_group_takes_as_many_days_as_a_place_can_number(void **state)
{
	struct place *p = *state;
	struct commit *commit = p->commit;
	struct verdicts verdicts;
	uint16_t day_idx;
	struct work *work;

	for (uint32_t i = 0; i < 30; i++)
		add(p, i)->ts_ms = NOW_MS - (int64_t)i * TL_DAY_MS;
	add(p, 29)->ts_ms = NOW_MS - 29 * TL_DAY_MS;
	work = batch(p);
	assert_int_equal(group_begin(&commit->group, 1, NOW_MS, 31), TL_OK);
	assert_int_equal(tl_edit_begin(p->roster, commit->write, &commit->edit), TL_OK);
	assert_int_equal(dedupe_reserve(commit->dedupe, 31), TL_OK);
	sources_begin(commit->sources, NOW_MS);
	for (uint32_t i = 0; i < GROUP_DAYS_MAX - 10; i++)
		assert_true(group_find_day(
			&commit->group, NOW_MS - (int64_t)(100 + i) * TL_DAY_MS, &day_idx));
	assert_int_equal(verdict_batch(commit, &work->admitted, &verdicts, &p->why), TL_OK);
	assert_int_equal(verdicts.accepted, 10);
	assert_int_equal(verdicts.rejected, 21);
	assert_int_equal(work->admitted.batch.rejects[0].event_idx, 10);
	assert_int_equal(work->admitted.batch.rejects[0].err, TL_EOVERLOADED);
	assert_int_equal(work->admitted.batch.rejects[20].event_idx, 30);
	/* Refused is not known: it may come again. */
	assert_int_equal(dedupe_count(commit->dedupe), 10);
	p->job_count = 0;
}

static void
money_past_the_bound_of_an_org_is_refused(void **state)
{
	struct place *p = *state;
	struct work *works[10];

	for (uint32_t b = 0; b < COUNT(works); b++) {
		for (uint32_t i = 0; i < EVENTS_MAX; i++)
			add(p, b * EVENTS_MAX + i)->cost_nusd = TL_COST_NUSD_MAX;
		works[b] = batch(p);
	}
	group(p);
	/* An org takes INT64_MAX / 2 nano-dollars in all: 4,611 of these. */
	for (uint32_t b = 0; b < 4; b++)
		check(p, works[b], "1000 0 0 0");
	check(p, works[4], "611 0 0 389");
	for (uint32_t b = 5; b < 9; b++)
		check(p, works[b], "0 0 0 1000");
	/* A group of many orgs has a bound of its own: the batch is asked to come again. */
	assert_int_equal(
		tl_frame_reply_status(tl_buf_slice(&works[9]->job.reply), NULL), TL_EOVERLOADED);
	REOPEN(p);
	add(p, 9 * EVENTS_MAX)->cost_nusd = TL_COST_NUSD_MAX;
	add(p, 9 * EVENTS_MAX + 1)->cost_nusd = 1;
	push(p, "1 0 0 1");
}

static void
commands_ride_in_the_group_and_answer_for_themselves(void **state)
{
	struct place *p = *state;
	struct work *good, *bad, *events;
	const struct tl_registry *registry;

	good = command(p, "org_create", "name", "Other");
	add(p, 1);
	events = batch(p);
	bad = command(p, "org_create", "name", "Acme");
	group(p);
	check(p, events, "1 0 0 0");
	assert_int_equal(tl_frame_reply_status(tl_buf_slice(&good->job.reply), &p->why), TL_OK);
	assert_int_equal(
		tl_frame_reply_status(tl_buf_slice(&bad->job.reply), &p->why), TL_ECONFLICT);
	assert_int_equal(commit_group_no(p->commit), 1);
	/* A command alone is a group without rows; a refused one is none. */
	good = command(p, "org_create", "name", "Third");
	group(p);
	assert_int_equal(tl_frame_reply_status(tl_buf_slice(&good->job.reply), &p->why), TL_OK);
	assert_int_equal(commit_group_no(p->commit), 2);
	assert_int_equal(commit_seq(p->commit), 1);
	bad = command(p, "org_create", "name", "Third");
	group(p);
	assert_int_equal(
		tl_frame_reply_status(tl_buf_slice(&bad->job.reply), &p->why), TL_ECONFLICT);
	assert_int_equal(commit_group_no(p->commit), 2);
	add(p, 2);
	push(p, "1 0 0 0");
	assert_int_equal(p->result.seq, 2);
	REOPEN(p);
	registry = tl_registry_pin(p->roster);
	assert_int_equal(tl_registry_org_count(registry), 3);
	tl_registry_unpin(registry);
	check_recount(p, 2, 10);
}

/* What an id should be worth, by the rules of SPEC 2.7, too simple to be wrong. */
struct truth {
	bool is_stored;
	int64_t rev;
	int64_t cost_nusd;
	int64_t ts_ms;
};

enum { IDS = 200 };

static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void
judge(struct truth *truth, const struct tl_wire_event *event, int64_t counts[4])
{
	bool is_same = truth->cost_nusd == event->cost_nusd && truth->ts_ms == event->ts_ms;

	if (truth->is_stored && event->rev <= truth->rev) {
		counts[event->rev < truth->rev || is_same ? 1 : 3]++;
		return;
	}
	counts[truth->is_stored ? 2 : 0]++;
	*truth = (struct truth){true, event->rev, event->cost_nusd, event->ts_ms};
}

static void
add_random(struct place *p, uint64_t *seed)
{
	struct tl_wire_event *event = add(p, next_random(seed) % IDS);

	event->rev = next_random(seed) % 3 == 0 ? next_random(seed) % 6 : 0;
	event->cost_nusd = 10 + next_random(seed) % 2;
	event->ts_ms = NOW_MS - (int64_t)(next_random(seed) % 3) * TL_DAY_MS;
}

static void
any_order_of_new_known_and_corrected_events_counts_each_once(void **state)
{
	struct place *p = *state;
	struct truth truths[IDS] = {{0}};
	uint64_t seed = 20261121;
	int64_t events = 0;
	int64_t cost_nusd = 0;

	for (int g = 0; g < 120; g++) {
		int64_t counts[JOBS_MAX][4] = {{0}};
		uint32_t jobs = 1 + next_random(&seed) % 4;

		for (uint32_t b = 0; b < jobs; b++) {
			uint32_t count = 1 + next_random(&seed) % 40;

			for (uint32_t i = 0; i < count; i++) {
				add_random(p, &seed);
				judge(&truths[tl_get_be64(p->events[i].id)], &p->events[i],
					counts[b]);
			}
			(void)batch(p);
		}
		group(p);
		for (uint32_t b = 0; b < jobs; b++) {
			read_reply(p, &p->works[b]);
			assert_int_equal(p->result.accepted, counts[b][0]);
			assert_int_equal(p->result.duplicate, counts[b][1]);
			assert_int_equal(p->result.replaced, counts[b][2]);
			assert_int_equal(p->result.rejected, counts[b][3]);
		}
		if (g % 10 == 9)
			REOPEN(p);
	}
	for (size_t i = 0; i < IDS; i++) {
		events += truths[i].is_stored;
		cost_nusd += truths[i].cost_nusd;
	}
	check_recount(p, events, cost_nusd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_events_are_accepted_and_numbered),
		TEST(an_event_sent_again_is_a_duplicate_wherever_the_first_lies),
		TEST(duplicates_alone_make_no_group),
		TEST(other_content_is_a_conflict_that_names_the_field),
		TEST(conflicts_of_one_id_are_one_row_that_ends),
		TEST(a_conflict_is_seen_within_a_group_and_a_batch),
		TEST(a_higher_rev_replaces_and_a_lower_one_is_stale),
		TEST(a_rev_replaces_within_its_group),
		TEST(a_rev_takes_the_event_to_another_day),
		TEST(a_stamp_ahead_is_taken_back_where_it_was_counted),
		TEST(arrival_never_goes_back),
		TEST(a_correction_of_an_expired_day_is_refused),
		TEST(a_group_has_one_block_a_day),
		TEST(counts_add_up_in_every_answer_and_in_the_counters),
		TEST(members_and_agents_appear_with_their_first_event),
		TEST(a_resend_does_not_bring_a_removed_member_back_but_a_new_event_does),
		TEST(enrolling_an_agent_does_not_change_what_was_sent_before),
		TEST(links_are_stored_as_ids_and_compared_like_other_events),
		TEST(repos_past_the_limit_count_as_other),
		TEST(pull_requests_past_the_limit_are_dropped),
		TEST(a_restart_knows_every_id_and_goes_on_counting),
		TEST(ids_are_forgotten_when_their_events_can_no_longer_come),
		TEST(a_missing_journal_row_is_found),
		TEST(a_missing_block_is_found),
		TEST(a_block_with_other_rows_than_the_journal_says_is_found),
		TEST(a_full_id_index_refuses_the_group_and_keeps_what_it_knows),
		TEST(an_import_is_exactly_once_however_old),
		TEST(an_import_finds_an_event_that_was_moved_to_another_day),
		TEST(a_group_takes_as_many_days_as_a_place_can_number),
		TEST(money_past_the_bound_of_an_org_is_refused),
		TEST(commands_ride_in_the_group_and_answer_for_themselves),
		TEST(any_order_of_new_known_and_corrected_events_counts_each_once),
	};

	if (tl_crypt_init() != TL_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
