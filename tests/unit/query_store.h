/*
 * A store that a test fills with events: raw blocks, journal, cells, sessions and lives are written
 * with the store's own verbs, summed here in the plainest way, so that query is tested without the
 * roles that feed it.
 */
#ifndef TESTS_QUERY_STORE_H
#define TESTS_QUERY_STORE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/kept.h"
#include "query/query.h"
#include "schema/base/crypt.h"
#include "schema/store/block.h"
#include "schema/store/cell.h"
#include "schema/store/dict.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/value.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define OK(call)                                                                        \
	do {                                                                            \
		struct tl_why ok_why = {{0}};                                           \
		enum tl_err ok_err = (call);                                            \
		if (ok_err)                                                             \
			fail_msg("%s: %s %s", #call, tl_err_name(ok_err), ok_why.text); \
	} while (0)

/* 2026-11-20T15:20:00Z */
#define NOW_MS 1795188000000LL
#define MINUTE_MS 60000LL
#define HOUR_MS 3600000LL
#define DAY_MS (24 * HOUR_MS)
#define QUARTER_MS (15 * MINUTE_MS)

#define EVENTS_MAX 4096
#define SESSIONS_MAX 256

struct event {
	int64_t ts_ms, received_ms; /* received 0: ts */
	uint32_t session, member, agent, model, repo;
	int64_t input, cache_read, cache_write, output;
	int64_t cost; /* -1: unknown */
	int64_t saved_tokens, saved_nusd;
	int64_t status;	     /* 0: 200 */
	int64_t duration_ms; /* 0: not stated */
	int64_t kind;
	int64_t lines, active_ms, fix_ms;
	int64_t rev;
	/* filled */
	uint8_t id[16];
	bool is_plan;
	bool is_taken_back;
	uint64_t group_no;	 /* 0: not yet written */
	uint64_t taken_group_no; /* the group that took it back */
};

struct session {
	uint32_t no;
	uint32_t repo, name;
	struct tl_pr prs[8];
	uint32_t pr_count;
	uint32_t commits[4];
	uint32_t commit_count;
};

struct place {
	char dir[40];
	struct tl_store *store;
	struct tl_roster *roster;
	struct tl_write *write;
	struct tl_dict *dict;
	const struct tl_registry *registry;
	uint32_t org;
	int64_t now_ms;
	struct event events[EVENTS_MAX];
	uint32_t event_count;
	struct session sessions[SESSIONS_MAX];
	uint32_t session_count;
	uint64_t group_no, seq, chain;
	int64_t low_ms; /* of the changes since the last publication */
	struct tl_arena arena;
	struct tl_buf reply;
	struct tl_why why;
	struct query_cache *cache; /* NULL: uncached */
	struct tl_caller caller;
};

static inline struct place *
place_open(const char *tz)
{
	struct place *p = calloc(1, sizeof(*p));
	struct tl_store_options options = {.create = true, .cache_bytes = 8 << 20};
	struct tl_org org = {.name = "acme", .peers_visible = true, .created_ms = 1};
	struct tl_edit *edit;

	strcpy(p->dir, "/tmp/query_test.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	options.dir = p->dir;
	assert_int_equal(tl_crypt_init(), TL_OK);
	OK(tl_store_open(&options, &p->store, &ok_why));
	OK(tl_roster_open(p->store, &p->roster, &ok_why));
	OK(tl_write_new(p->store, &p->write));
	OK(tl_dict_new(p->store, 10000, &p->dict));
	tl_arena_init(&p->arena, 256u << 20);
	tl_buf_init(&p->reply, TL_REPLY_BYTES_MAX);
	p->now_ms = NOW_MS;
	p->low_ms = INT64_MAX;
	OK(tl_zone_get(tl_slice_str(tz), &org.zone, &ok_why));
	OK(tl_edit_begin(p->roster, p->write, &edit));
	OK(tl_edit_put_org(edit, &org, &p->org));
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
	p->caller = (struct tl_caller){.is_operator = true,
		.type = TL_CREDENTIAL_PERSON,
		.is_admin = true,
		.org_no = p->org};
	return p;
}

static inline int
place_remove_file(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

static inline void
place_close(struct place *p)
{
	query_cache_free(p->cache);
	if (p->registry != NULL)
		tl_registry_unpin(p->registry);
	tl_buf_fini(&p->reply);
	tl_arena_fini(&p->arena);
	tl_dict_free(p->dict);
	tl_write_free(p->write);
	tl_roster_free(p->roster);
	tl_store_close(p->store);
	nftw(p->dir, place_remove_file, 16, FTW_DEPTH | FTW_PHYS);
	free(p);
}

/* Change the org's settings. */
static inline void
place_settings(struct place *p, bool peers_visible, bool github_connected, int64_t seats)
{
	struct tl_edit *edit;
	struct tl_org org;
	uint32_t no;

	OK(tl_edit_begin(p->roster, p->write, &edit));
	org = *tl_edit_org(edit, p->org);
	org.peers_visible = peers_visible;
	org.github_connected = github_connected;
	org.seats = seats;
	OK(tl_edit_put_org(edit, &org, &no));
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
}

/* A member whose id is 16 bytes of fill. */
static inline uint32_t
place_member(struct place *p, uint8_t fill, enum tl_member_state state, const char *email,
	const char *display_name, int64_t rate_cents)
{
	struct tl_member member = {
		.role = TL_ROLE_MEMBER,
		.state = state,
		.rate_cents = rate_cents,
		.created_ms = 1,
		.email = email,
		.display_name = display_name,
	};
	struct tl_edit *edit;
	uint32_t no = 0;

	memset(member.id, fill, sizeof(member.id));
	OK(tl_edit_begin(p->roster, p->write, &edit));
	OK(tl_edit_put_member(edit, p->org, &member, &no));
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
	return no;
}

static inline void
place_member_state(struct place *p, uint32_t no, enum tl_member_state state)
{
	struct tl_edit *edit;
	struct tl_member member;

	OK(tl_edit_begin(p->roster, p->write, &edit));
	member = *tl_org_member(tl_edit_org(edit, p->org), no);
	member.state = state;
	OK(tl_edit_put_member(edit, p->org, &member, &no));
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
}

/* An agent, with a key when key_out is given. */
static inline uint32_t
place_agent(struct place *p, uint32_t member, const char *type, char *key_out, char *token_out)
{
	struct tl_agent agent = {
		.member_no = member,
		.type = type,
		.enrolled = key_out != NULL,
		.live = true,
		.compression = true,
		.created_ms = 1,
	};
	struct tl_credential credential = {
		.org_no = p->org, .member_no = member, .created_ms = 1, .name = ""};
	char token[TL_TOKEN_BYTES_MAX];
	struct tl_edit *edit;
	uint32_t no = 0;

	OK(tl_edit_begin(p->roster, p->write, &edit));
	OK(tl_edit_put_agent(edit, p->org, &agent, &no));
	if (key_out != NULL) {
		credential.agent_no = no;
		tl_token_make(TL_CREDENTIAL_AGENT, &credential, token);
		OK(tl_edit_put_credential(edit, &credential));
		strcpy(key_out, credential.key_id);
		if (token_out != NULL)
			strcpy(token_out, token);
	}
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
	return no;
}

/* A credential of the org; the token goes to token_out. */
static inline void
place_token(struct place *p, enum tl_credential_type type, uint32_t member, bool is_admin,
	char token_out[TL_TOKEN_BYTES_MAX])
{
	struct tl_credential credential = {
		.org_no = p->org,
		.member_no = member,
		.is_admin = is_admin,
		.created_ms = 1,
		.name = "",
	};
	struct tl_edit *edit;

	OK(tl_edit_begin(p->roster, p->write, &edit));
	tl_token_make(type, &credential, token_out);
	OK(tl_edit_put_credential(edit, &credential));
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
}

static inline uint32_t
place_name(struct place *p, enum tl_name_kind kind, const char *name)
{
	uint32_t id = 0;

	OK(tl_dict_id(p->dict, p->org, kind, tl_slice_str(name), p->write, &id, &ok_why));
	OK(tl_dict_put(p->dict, p->write));
	return id;
}

static inline struct session *
place_session(struct place *p, const char *name)
{
	uint32_t no = place_name(p, TL_NAME_SESSION, name);

	for (uint32_t i = 0; i < p->session_count; i++) {
		if (p->sessions[i].no == no)
			return &p->sessions[i];
	}
	assert_true(p->session_count < SESSIONS_MAX);
	p->sessions[p->session_count].no = no;
	return &p->sessions[p->session_count++];
}

static inline int64_t
event_time(const struct event *event)
{
	int64_t received_ms = event->received_ms != 0 ? event->received_ms : event->ts_ms;

	return tl_event_time(event->ts_ms, received_ms);
}

/* The lowest time that changes with the next publication. */
static inline void
place_touch(struct place *p, int64_t time_ms)
{
	if (time_ms < p->low_ms)
		p->low_ms = time_ms;
}

static inline struct event *
place_event(struct place *p, struct event event)
{
	struct event *kept = &p->events[p->event_count];

	assert_true(p->event_count < EVENTS_MAX);
	if (event.status == 0)
		event.status = 200;
	*kept = event;
	memset(kept->id, 0, sizeof(kept->id));
	tl_put_be32(kept->id, ++p->event_count);
	kept->group_no = 0;
	place_touch(p, event_time(kept));
	return kept;
}

/* A request of m tokens of input and c nano-dollars. */
static inline struct event *
place_request(struct place *p, int64_t ts_ms, uint32_t session, uint32_t member, int64_t input,
	int64_t cost)
{
	return place_event(p, (struct event){.ts_ms = ts_ms,
				      .session = session,
				      .member = member,
				      .agent = 0,
				      .model = place_name(p, TL_NAME_MODEL, "opus"),
				      .input = input,
				      .cost = cost});
}

/* A row of a batch for an event. */
static inline void
fill_row(struct tl_batch *batch, uint32_t idx, const struct place *p, const struct event *e,
	int sign)
{
	int64_t ts_ms = sign > 0 ? e->ts_ms : event_time(e);

	memcpy(batch->id[idx], e->id, 16);
#define SET(column, value) OK(tl_batch_set(batch, column, idx, value))
	SET(TL_COL_ORG, p->org);
	SET(TL_COL_TS, ts_ms);
	SET(TL_COL_SIGN, sign);
	SET(TL_COL_REV, e->rev);
	SET(TL_COL_KIND, e->kind);
	SET(TL_COL_MEMBER, e->member);
	SET(TL_COL_AGENT, e->agent);
	SET(TL_COL_SESSION, e->session);
	SET(TL_COL_MODEL, e->model);
	SET(TL_COL_REPO, e->repo);
	SET(TL_COL_INPUT, e->input);
	SET(TL_COL_CACHE_READ, e->cache_read);
	SET(TL_COL_CACHE_WRITE, e->cache_write);
	SET(TL_COL_OUTPUT, e->output);
	SET(TL_COL_COST, e->cost);
	SET(TL_COL_SAVED_TOKENS, e->saved_tokens);
	SET(TL_COL_SAVED_NUSD, e->saved_nusd);
	SET(TL_COL_STATUS, e->status);
	SET(TL_COL_DURATION, e->duration_ms > 0 ? e->duration_ms : -1);
	SET(TL_COL_BILLING, e->is_plan ? TL_BILLING_PLAN : TL_BILLING_API);
	SET(TL_COL_LINES_ADDED, e->lines);
	SET(TL_COL_ACTIVE_MS, e->active_ms);
	SET(TL_COL_FIX_MS, e->fix_ms);
#undef SET
}

static inline void
event_totals(struct place *p, const struct event *e, struct tl_totals *totals_out)
{
	struct tl_arena arena;
	struct tl_batch batch;

	tl_arena_init(&arena, 1 << 20);
	OK(tl_batch_init(&batch, &arena, 1));
	batch.row_count = 1;
	fill_row(&batch, 0, p, e, 1);
	tl_event_totals(&batch, 0, totals_out);
	tl_arena_fini(&arena);
}

/* One block per day of what is not yet written; taken: rows to take back. */
static inline void
write_group(struct place *p, struct event *const *taken, uint32_t taken_count)
{
	struct tl_journal_row row = {.group_no = ++p->group_no, .received_ms = p->now_ms};
	struct tl_journal_block blocks[64];
	struct tl_key key;
	struct tl_buf bytes;
	int64_t day_ms = INT64_MIN;
	struct tl_arena arena;

	tl_arena_init(&arena, 64 << 20);
	tl_buf_init(&bytes, 0);
	row.seq_first = p->seq + 1;
	for (;;) {
		int64_t next_ms = INT64_MAX;
		struct tl_batch batch;
		uint32_t order[EVENTS_MAX];
		uint32_t count = 0;
		struct tl_block_head head;
		struct tl_day *day = NULL;
		int64_t received_ms = p->now_ms;

		for (uint32_t i = 0; i < p->event_count + taken_count; i++) {
			const struct event *e =
				i < p->event_count ? &p->events[i] : taken[i - p->event_count];
			int64_t at_ms = tl_bucket_floor(TL_SPAN_1D, event_time(e));

			if ((i >= p->event_count || e->group_no == 0) && at_ms > day_ms &&
				at_ms < next_ms)
				next_ms = at_ms;
		}
		if (next_ms == INT64_MAX)
			break;
		day_ms = next_ms;
		tl_arena_reset(&arena);
		OK(tl_batch_init(&batch, &arena, p->event_count + taken_count));
		batch.row_count = p->event_count + taken_count;
		for (uint32_t i = 0; i < p->event_count + taken_count; i++) {
			bool is_taken = i >= p->event_count;
			const struct event *e =
				is_taken ? taken[i - p->event_count] : &p->events[i];

			if ((!is_taken && e->group_no != 0) ||
				tl_bucket_floor(TL_SPAN_1D, event_time(e)) != day_ms)
				continue;
			fill_row(&batch, i, p, e, is_taken ? -1 : 1);
			if (!is_taken && e->received_ms != 0)
				received_ms = e->received_ms;
			order[count++] = i;
		}
		tl_buf_reset(&bytes);
		OK(tl_block_encode(&batch, order, count, received_ms, &bytes));
		OK(tl_block_head(tl_buf_slice(&bytes), &head));
		OK(tl_day_make(p->store, day_ms, &day, &ok_why));
		key = tl_key_block(p->group_no, (uint16_t)row.block_count);
		tl_write_put_raw(p->write, day, tl_key_slice(&key), tl_buf_slice(&bytes));
		blocks[row.block_count] = (struct tl_journal_block){
			.day_ms = day_ms,
			.block_no = (uint16_t)row.block_count,
			.row_count = count,
			.cost_nusd = head.cost_nusd,
		};
		row.block_count++;
		p->seq += count;
		OK(tl_write_commit(p->write, TL_NO_SYNC, &ok_why));
		tl_day_unpin(day);
	}
	row.seq_last = p->seq;
	row.blocks = blocks;
	row.epoch = tl_store_epoch(p->store);
	tl_buf_reset(&bytes);
	tl_journal_encode(&row, p->chain, &bytes);
	p->chain = row.chain;
	key = tl_key_journal(p->group_no);
	tl_write_put(p->write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&bytes));
	OK(tl_write_commit(p->write, TL_NO_SYNC, &ok_why));
	for (uint32_t i = 0; i < p->event_count; i++) {
		if (p->events[i].group_no == 0)
			p->events[i].group_no = p->group_no;
	}
	tl_buf_fini(&bytes);
	tl_arena_fini(&arena);
}

static inline struct session *
session_of(struct place *p, uint32_t no)
{
	for (uint32_t i = 0; i < p->session_count; i++) {
		if (p->sessions[i].no == no)
			return &p->sessions[i];
	}
	return NULL;
}

static inline int
cell_row_cmp(const void *a, const void *b)
{
	return tl_cell_key_cmp(
		&((const struct tl_cell_row *)a)->key, &((const struct tl_cell_row *)b)->key);
}

/* The page of a 15m cell from the events that stand. Groups of taken back rows count too. */
static inline void
make_page(struct place *p, int64_t bucket_ms, struct tl_arena *arena, struct tl_page *page_out)
{
	struct tl_page page = {
		.rows = tl_arena_array(arena, p->event_count, sizeof(struct tl_cell_row)),
		.prs = tl_arena_array(
			arena, (size_t)p->session_count * 8, sizeof(struct tl_cell_pr)),
		.groups = tl_arena_array(arena, p->group_no, sizeof(uint64_t)),
	};
	bool has_group[EVENTS_MAX] = {false};

	for (uint32_t i = 0; i < p->event_count; i++) {
		const struct event *e = &p->events[i];
		struct session *session = session_of(p, e->session);
		struct tl_cell_row row = {.first_ms = INT64_MAX, .last_ms = INT64_MIN};
		uint32_t at = 0;

		if (tl_bucket_floor(TL_SPAN_15M, event_time(e)) != bucket_ms)
			continue;
		has_group[e->group_no] = true;
		if (e->is_taken_back) {
			has_group[e->taken_group_no] = true;
			continue;
		}
		row.key = (struct tl_cell_key){e->session, e->member, e->agent, e->model,
			e->repo != 0	  ? e->repo
			: session != NULL ? session->repo
					  : 0,
			e->repo != 0, 0};
		event_totals(p, e, &row.totals);
		if (e->kind == TL_KIND_REQUEST)
			row.first_ms = row.last_ms = event_time(e);
		while (at < page.row_count && tl_cell_key_cmp(&page.rows[at].key, &row.key) != 0)
			at++;
		if (at == page.row_count) {
			page.rows[page.row_count++] = row;
			continue;
		}
		OK(tl_totals_add(&page.rows[at].totals, &row.totals, 1));
		if (row.first_ms < page.rows[at].first_ms)
			page.rows[at].first_ms = row.first_ms;
		if (row.last_ms > page.rows[at].last_ms)
			page.rows[at].last_ms = row.last_ms;
	}
	qsort(page.rows, page.row_count, sizeof(*page.rows), cell_row_cmp);
	for (uint32_t i = 0; i < page.row_count; i++) {
		struct session *session = session_of(p, page.rows[i].key.session);

		if (session == NULL ||
			(i > 0 && page.rows[i].key.session == page.rows[i - 1].key.session))
			continue;
		for (uint32_t k = 0; k < session->pr_count; k++)
			page.prs[page.pr_count++] =
				(struct tl_cell_pr){session->no, session->prs[k]};
	}
	for (uint32_t no = 1; no <= p->group_no; no++) {
		if (has_group[no])
			page.groups[page.group_count++] = no;
	}
	OK(tl_page_split(&page, bucket_ms, arena));
	*page_out = page;
}

static inline void
put_page(struct place *p, enum tl_span span, int64_t bucket_ms, const struct tl_page *page)
{
	struct tl_key key = tl_key_page(&(struct tl_page_place){p->org, span, bucket_ms, 0});
	struct tl_buf bytes;

	tl_buf_init(&bytes, 0);
	tl_page_encode(page, span, bucket_ms, &bytes);
	assert_int_equal(bytes.err, TL_OK);
	tl_write_put(p->write, tl_cell_family(span), tl_key_slice(&key), tl_buf_slice(&bytes));
	tl_buf_fini(&bytes);
}

/* A quarter as it stands in the page of its hour. */
static inline void
place_quarter(struct tl_page *page, uint32_t quarter, struct tl_arena *arena)
{
	for (uint32_t i = 0; i < page->row_count; i++)
		page->rows[i].key.quarter = quarter;
	page->group_quarters = tl_arena_array(arena, page->group_count, 1);
	for (uint32_t i = 0; i < page->group_count; i++)
		page->group_quarters[i] = (uint8_t)(1u << quarter);
}

/* Every page that holds one of the events, of hours and of days. */
static inline void
write_pages(struct place *p)
{
	for (enum tl_span span = TL_SPAN_1H; span <= TL_SPAN_1D; span++) {
		for (uint32_t i = 0; i < p->event_count; i++) {
			int64_t start_ms = tl_bucket_floor(span, event_time(&p->events[i]));
			struct tl_page sum = {0};
			struct tl_arena arena;
			bool is_first = true;

			for (uint32_t k = 0; k < i && is_first; k++)
				is_first = tl_bucket_floor(span, event_time(&p->events[k])) !=
					   start_ms;
			if (!is_first)
				continue;
			tl_arena_init(&arena, 256 << 20);
			for (int64_t at_ms = start_ms; at_ms < start_ms + tl_span_ms(span);
				at_ms += QUARTER_MS) {
				struct tl_page quarter;

				make_page(p, at_ms, &arena, &quarter);
				if (span == TL_SPAN_1D)
					quarter.group_count = 0;
				else
					place_quarter(&quarter,
						(uint32_t)((at_ms - start_ms) / QUARTER_MS),
						&arena);
				OK(tl_page_add(&sum, &quarter, &arena, &sum));
			}
			put_page(p, span, start_ms, &sum);
			tl_arena_fini(&arena);
		}
		OK(tl_write_commit(p->write, TL_NO_SYNC, &ok_why));
	}
}

static inline void
write_session(struct place *p, const struct session *session)
{
	struct tl_session_row row;
	struct tl_session_link links[4];
	int64_t buckets[EVENTS_MAX];
	struct tl_key key = tl_key_session(p->org, session->no);
	struct tl_buf bytes;

	tl_session_row_init(&row);
	row.repo = session->repo;
	row.name = session->name;
	row.prs = (struct tl_pr *)session->prs;
	row.pr_count = session->pr_count;
	row.buckets = buckets;
	row.links = links;
	for (uint32_t i = 0; i < session->commit_count; i++) {
		links[i] = (struct tl_session_link){.ts_ms = NOW_MS + i,
			.op = TL_LINK_ADD_COMMIT,
			.value = session->commits[i]};
		row.link_count++;
	}
	for (uint32_t i = 0; i < p->event_count; i++) {
		const struct event *e = &p->events[i];
		int64_t no = tl_bucket_no(TL_SPAN_15M, event_time(e));
		struct tl_totals totals;
		uint32_t at = 0;

		if (e->session != session->no || e->is_taken_back)
			continue;
		event_totals(p, e, &totals);
		OK(tl_totals_add(&row.totals, &totals, 1));
		while (at < row.bucket_count && buckets[at] < no)
			at++;
		if (at == row.bucket_count || buckets[at] != no) {
			memmove(buckets + at + 1, buckets + at,
				(row.bucket_count - at) * sizeof(*buckets));
			buckets[at] = no;
			row.bucket_count++;
		}
		if (e->kind != TL_KIND_REQUEST)
			continue;
		if (event_time(e) < row.first_ms)
			row.first_ms = event_time(e);
		if (event_time(e) >= row.last_ms) {
			row.last_ms = event_time(e);
			row.member = e->member;
			row.agent = e->agent;
		}
	}
	tl_buf_init(&bytes, 0);
	tl_session_row_encode(&row, &bytes);
	assert_int_equal(bytes.err, TL_OK);
	tl_write_put(p->write, TL_FAMILY_SESSION, tl_key_slice(&key), tl_buf_slice(&bytes));
	tl_buf_fini(&bytes);
}

static inline void
write_life(struct place *p, enum tl_dim dim, uint32_t entity)
{
	struct tl_life life = {.first_ms = INT64_MAX, .last_ms = INT64_MIN};
	struct tl_key key = tl_key_life(p->org, dim, entity);
	struct tl_buf bytes;
	bool has_any = false;

	for (uint32_t i = 0; i < p->event_count; i++) {
		const struct event *e = &p->events[i];
		struct tl_totals totals;

		if (e->is_taken_back || (dim == TL_DIM_MEMBER ? e->member : e->agent) != entity)
			continue;
		has_any = true;
		event_totals(p, e, &totals);
		OK(tl_totals_add(&life.totals, &totals, 1));
		if (e->kind != TL_KIND_REQUEST)
			continue;
		if (event_time(e) < life.first_ms)
			life.first_ms = event_time(e);
		if (event_time(e) > life.last_ms)
			life.last_ms = event_time(e);
	}
	if (!has_any)
		return;
	tl_buf_init(&bytes, 0);
	tl_life_encode(&life, &bytes);
	tl_write_put(p->write, TL_FAMILY_LIFE, tl_key_slice(&key), tl_buf_slice(&bytes));
	tl_buf_fini(&bytes);
}

/* Take an event back and put another in its place: both in the next group. */
static inline void
place_replace(struct place *p, struct event *before, struct event after)
{
	struct event *taken[1] = {before};
	struct event *now;

	assert_true(before->group_no != 0);
	place_touch(p, event_time(before));
	after.rev = before->rev + 1;
	now = place_event(p, after);
	memcpy(now->id, before->id, sizeof(now->id));
	write_group(p, taken, 1);
	before->is_taken_back = true;
	before->taken_group_no = p->group_no;
}

/* Everything that was added since becomes visible. */
static inline void
place_publish(struct place *p)
{
	struct tl_change change = {.org = p->org, .low_ms = p->low_ms};
	const struct tl_org *org;
	bool has_new = false;

	OK(tl_write_commit(p->write, TL_NO_SYNC, &ok_why));
	for (uint32_t i = 0; i < p->event_count; i++)
		has_new |= p->events[i].group_no == 0;
	if (has_new)
		write_group(p, NULL, 0);
	write_pages(p);
	for (uint32_t i = 0; i < p->session_count; i++)
		write_session(p, &p->sessions[i]);
	if (p->registry != NULL)
		tl_registry_unpin(p->registry);
	p->registry = tl_registry_pin(p->roster);
	org = tl_registry_org(p->registry, p->org);
	for (uint32_t no = 1; no <= org->member_count; no++)
		write_life(p, TL_DIM_MEMBER, no);
	for (uint32_t no = 1; no <= org->agent_count; no++)
		write_life(p, TL_DIM_AGENT, no);
	OK(tl_write_commit(p->write, TL_NO_SYNC, &ok_why));
	OK(tl_view_publish(
		p->store, p->group_no, p->seq, &change, p->low_ms != INT64_MAX, &ok_why));
	p->low_ms = INT64_MAX;
}

/* Run a query; its reply is in p->reply until the next. */
static inline enum tl_err
place_run(struct place *p, const struct tl_query *query)
{
	struct tl_view *view = tl_view_pin(p->store);
	struct query_scene scene = {
		.store = p->store,
		.view = view,
		.registry = p->registry,
		.now_ms = p->now_ms,
		.org = tl_registry_org(p->registry, p->org),
		.caller = p->caller,
		.cache = p->cache,
	};
	enum tl_err err;

	tl_arena_reset(&p->arena);
	tl_buf_reset(&p->reply);
	memset(&p->why, 0, sizeof(p->why));
	err = query_run(&scene, query, &p->arena, &p->reply, &p->why);
	tl_view_unpin(view);
	if (!err)
		assert_int_equal(tl_reader_check(tl_buf_slice(&p->reply), 8, &p->why), TL_OK);
	return err;
}

/* The request as bytes: {v, op} and the pairs of text that follow, NULL at the end. */
static inline void
put_request(struct tl_buf *request, const char *op, va_list params)
{
	struct tl_pack_open map = tl_pack_open_map(request);
	const char *key;

	tl_pack_key_int(request, &map, "v", 1);
	tl_pack_key_str(request, &map, "op", op);
	while ((key = va_arg(params, const char *)) != NULL)
		tl_pack_key_str(request, &map, key, va_arg(params, const char *));
	tl_pack_close(request, &map);
}

/* Ask and expect err. */
static inline enum tl_err
place_try(struct place *p, const char *op, ...)
{
	static struct tl_buf request;
	struct tl_query query;
	va_list params;
	enum tl_err err;

	tl_buf_fini(&request);
	tl_buf_init(&request, 0);
	va_start(params, op);
	put_request(&request, op, params);
	va_end(params);
	err = tl_query_read(tl_buf_slice(&request), &query, &p->why);
	return err ? err : place_run(p, &query);
}

#define ASK(p, ...)                                                             \
	do {                                                                    \
		enum tl_err ask_err = place_try(p, __VA_ARGS__, NULL);          \
		if (ask_err)                                                    \
			fail_msg("%s %s", tl_err_name(ask_err), (p)->why.text); \
	} while (0)

/* The value at a path like "members.0.spark.3"; empty when there is none. */
static inline struct tl_slice
reply_at(const struct place *p, const char *path)
{
	struct tl_slice value = tl_buf_slice(&p->reply);
	char part[64];

	while (*path != '\0' && value.bytes > 0) {
		size_t bytes = strcspn(path, ".");
		struct tl_reader reader = tl_reader_of(value);
		struct tl_slice next = {0};

		assert_true(bytes < sizeof(part));
		memcpy(part, path, bytes);
		part[bytes] = '\0';
		path += bytes + (path[bytes] == '.');
		if (tl_reader_peek(&reader) == TL_WIRE_ARRAY) {
			uint32_t count = tl_read_array(&reader);
			uint32_t idx = (uint32_t)atoi(part);

			for (uint32_t i = 0; i <= idx && idx < count; i++)
				next = tl_read_any(&reader);
		} else if (tl_reader_find(value, part, &reader)) {
			next = tl_read_any(&reader);
		}
		value = next;
	}
	return value;
}

static inline int64_t
reply_int(const struct place *p, const char *path)
{
	struct tl_reader reader = tl_reader_of(reply_at(p, path));
	int64_t value;

	if (tl_reader_peek(&reader) != TL_WIRE_INT)
		fail_msg("%s is no integer", path);
	value = tl_read_int(&reader);
	return value;
}

static inline bool
reply_is_nil(const struct place *p, const char *path)
{
	struct tl_slice value = reply_at(p, path);
	struct tl_reader reader = tl_reader_of(value);

	return value.bytes > 0 && tl_reader_peek(&reader) == TL_WIRE_NIL;
}

static inline bool
reply_bool(const struct place *p, const char *path)
{
	struct tl_reader reader = tl_reader_of(reply_at(p, path));

	if (tl_reader_peek(&reader) != TL_WIRE_BOOL)
		fail_msg("%s is no bool", path);
	return tl_read_bool(&reader);
}

/* The text at path; "" when there is none. One at a time. */
static inline const char *
reply_text(const struct place *p, const char *path)
{
	static char text[512];
	struct tl_slice value = reply_at(p, path);
	struct tl_reader reader = tl_reader_of(value);
	struct tl_slice str = {0};

	if (value.bytes > 0 && tl_reader_peek(&reader) == TL_WIRE_STR)
		str = tl_read_str(&reader);
	assert_true(str.bytes < sizeof(text));
	if (str.bytes > 0)
		memcpy(text, str.data, str.bytes);
	text[str.bytes] = '\0';
	return text;
}

/* Elements of an array or pairs of a map. */
static inline uint32_t
reply_count(const struct place *p, const char *path)
{
	struct tl_slice value = reply_at(p, path);
	struct tl_reader reader = tl_reader_of(value);

	if (value.bytes == 0)
		fail_msg("%s is not there", path);
	return tl_reader_peek(&reader) == TL_WIRE_MAP ? tl_read_map(&reader)
						      : tl_read_array(&reader);
}

static inline int64_t
reply_sum(const struct place *p, const char *path)
{
	struct tl_reader reader = tl_reader_of(reply_at(p, path));
	uint32_t count = tl_read_array(&reader);
	int64_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += tl_read_int(&reader);
	assert_int_equal(reader.err, TL_OK);
	return sum;
}

#endif
