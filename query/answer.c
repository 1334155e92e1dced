#include "query/answer.h"

#include <assert.h>
#include <stdio.h>

#include "query/kept.h"
#include "schema/base/log.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define FIELD_BYTES 32
#define MARKED_BYTES 256 /* around a marked reply */

/* One question from its bytes to its reply. */
struct task {
	struct answer *answer;
	struct tl_slice map;
	bool is_one_of_several;
	struct tl_query query;
	struct query_scene scene;
	struct tl_why why;
};

void
answer_init(struct answer *answer, const struct answer_source *source, bool is_operator,
	size_t arena_bytes_max)
{
	*answer = (struct answer){.source = source, .is_operator = is_operator};
	tl_arena_init(&answer->arena, arena_bytes_max);
	tl_buf_init(&answer->inflated, TL_FRAME_BYTES_MAX);
	tl_buf_init(&answer->inner, TL_REPLY_BYTES_MAX);
	tl_buf_init(&answer->reply, TL_REPLY_BYTES_MAX + MARKED_BYTES);
}

void
answer_fini(struct answer *answer)
{
	tl_buf_fini(&answer->reply);
	tl_buf_fini(&answer->inner);
	tl_buf_fini(&answer->inflated);
	tl_arena_fini(&answer->arena);
}

static bool
is_ours(enum tl_err code)
{
	return code == TL_EINTERNAL || code == TL_ESTORAGE_UNAVAILABLE ||
	       code == TL_ESTORAGE_CORRUPT || code == TL_EACKED_DATA_MISSING ||
	       code == TL_EOVERLOADED;
}

/* The parameter that a text about a parameter begins with. */
static bool
find_field(const char *text, char field_out[FIELD_BYTES])
{
	size_t bytes = strcspn(text, ": ");

	if (bytes == 0 || bytes >= FIELD_BYTES || text[bytes] != ':')
		return false;
	memcpy(field_out, text, bytes);
	field_out[bytes] = '\0';
	return true;
}

/* What the program told itself about its trouble is logged, the asker learns the rest. */
static void
put_error(struct tl_buf *reply, enum tl_err err, const struct tl_why *why)
{
	enum tl_err code = tl_err_outward(err);
	struct tl_error_detail detail = {.limit = INT64_MIN};
	char field[FIELD_BYTES];

	if (is_ours(code))
		tl_log(TL_LOG_ERROR, "query failed code=%s why=%s", tl_err_name(err), why->text);
	else if (why->text[0] != '\0')
		detail.message = why->text;
	if (code == TL_EBAD_PARAM && find_field(why->text, field))
		detail.field = field;
	if (code == TL_EFRAME_TOO_LARGE)
		detail.limit = TL_FRAME_BYTES_MAX;
	if (tl_err_retry(code) == TL_RETRY_AFTER)
		detail.retry_after_ms = ANSWER_RETRY_MS;
	tl_frame_put_error(reply, code, &detail);
}

/* Anybody may ask for health, by either door; for the rest the credential says who and which org.
 */
static enum tl_err
find_caller(struct task *task)
{
	struct query_scene *scene = &task->scene;
	enum tl_err err;

	if (task->query.op == TL_QUERY_HEALTH) {
		scene->caller = (struct tl_caller){.is_operator = task->answer->is_operator};
		return TL_OK;
	}
	err = tl_caller_resolve(scene->registry, task->query.token, task->query.org,
		task->answer->is_operator, scene->now_ms, &scene->caller, &task->why);
	if (!err && scene->caller.org_no != 0)
		scene->org = tl_registry_org(scene->registry, scene->caller.org_no);
	return err;
}

static enum tl_err
ask_health(struct task *task)
{
	const struct answer_source *source = task->answer->source;
	struct query_health *health;

	if (task->query.op != TL_QUERY_HEALTH || source->on_health == NULL)
		return TL_OK;
	health = tl_arena_array(&task->answer->arena, 1, sizeof(*health));
	if (health == NULL)
		return TL_ENOMEM;
	*health = (struct query_health){.count = 0};
	source->on_health(source->arg, health);
	task->scene.health = health;
	return TL_OK;
}

/* Append the reply, kept or made anew. */
static enum tl_err
find_reply(struct task *task, struct tl_buf *reply, int64_t *made_ms_out)
{
	const struct answer_source *source = task->answer->source;
	enum tl_err err = ask_health(task);

	if (err)
		return err;
	if (kept_reply_get(&task->scene, task->query.op, task->map, reply, made_ms_out)) {
		tl_counter_add(&source->stats->cached, 1);
		return TL_OK;
	}
	*made_ms_out = task->scene.now_ms;
	err = query_run(&task->scene, &task->query, &task->answer->arena, reply, &task->why);
	if (!err)
		kept_reply_put(&task->scene, task->query.op, task->map, tl_buf_slice(reply));
	return err;
}

/* {v, ok, mark, same} for who has the reply already. */
static enum tl_err
put_same(struct tl_buf *reply, struct tl_slice mark)
{
	struct tl_pack_open map = tl_pack_open_map(reply);

	tl_pack_key_int(reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(reply, &map, "ok", true);
	tl_pack_key_slice(reply, &map, "mark", mark);
	tl_pack_key_bool(reply, &map, "same", true);
	tl_pack_close(reply, &map);
	return reply->err;
}

/* {v, ok, same: false}: to be asked alone, for among several nothing is counted. */
static enum tl_err
put_other(struct tl_buf *reply)
{
	struct tl_pack_open map = tl_pack_open_map(reply);

	tl_pack_key_int(reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(reply, &map, "ok", true);
	tl_pack_key_bool(reply, &map, "same", false);
	tl_pack_close(reply, &map);
	return reply->err;
}

/* {v, ok, mark, reply}: the mark is not in the reply itself, which others may have kept. */
static enum tl_err
put_marked(struct task *task, struct tl_buf *reply, int64_t made_ms)
{
	struct tl_pack_open map = tl_pack_open_map(reply);
	char mark[KEPT_MARK_BYTES];

	tl_pack_key_int(reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(reply, &map, "ok", true);
	if (kept_mark(&task->scene, task->query.op, task->map, made_ms, mark))
		tl_pack_key_str(reply, &map, "mark", mark);
	tl_pack_key(reply, &map, "reply");
	tl_buf_put_slice(reply, tl_buf_slice(&task->answer->inner));
	tl_pack_close(reply, &map);
	return reply->err;
}

/* Append what the question is answered with, but for errors. */
static enum tl_err
run(struct task *task)
{
	const struct tl_query *query = &task->query;
	struct answer *answer = task->answer;
	int64_t made_ms;
	enum tl_err err = find_caller(task);

	if (!err && query->op == TL_QUERY_KEYS_RESOLVE)
		err = tl_roster_allow_resolve(answer->source->roster, &task->scene.caller,
			tl_clock_mono_ms(answer->source->clock), &task->why);
	if (err)
		return err;
	if (task->is_one_of_several && query->op != TL_QUERY_LIVE && !query->has_have)
		return tl_fail(&task->why, TL_EBAD_PARAM,
			"have: among several a question says what the asker has");
	if (!query->has_have)
		return find_reply(task, &answer->reply, &made_ms);
	err = query_allow(&task->scene, query, &task->why);
	if (err)
		return err;
	if (kept_mark_holds(&task->scene, query->op, task->map, query->have, query->have_age_ms)) {
		tl_counter_add(&answer->source->stats->same, 1);
		return put_same(&answer->reply, query->have);
	}
	if (task->is_one_of_several)
		return put_other(&answer->reply);
	tl_buf_reset(&answer->inner);
	err = find_reply(task, &answer->inner, &made_ms);
	return err ? err : put_marked(task, &answer->reply, made_ms);
}

/*
 * What is seen now. The view is pinned before the registry, which is published before anything of
 * it can be rolled up, so every member in the view is known; and before the clock is read, so
 * nothing in the view is later than now.
 */
static enum tl_err
scene_open(const struct answer_source *source, struct query_scene *scene)
{
	struct tl_view *view = tl_view_pin(source->store);

	if (view == NULL)
		return TL_ESTARTING;
	*scene = (struct query_scene){
		.store = source->store,
		.view = view,
		.registry = tl_registry_pin(source->roster),
		.now_ms = tl_clock_wall_ms(source->clock),
		.cache = source->cache,
	};
	return TL_OK;
}

static void
scene_close(struct query_scene *scene)
{
	tl_registry_unpin(scene->registry);
	tl_view_unpin((struct tl_view *)scene->view);
}

/* Append the reply to one question, or its error. scene: what is seen, but for who asks. */
static void
answer_question(struct answer *answer, struct tl_slice map, const struct query_scene *scene,
	bool is_one_of_several)
{
	struct task task = {.answer = answer,
		.map = map,
		.scene = *scene,
		.is_one_of_several = is_one_of_several};
	struct query_stats *stats = answer->source->stats;
	size_t start = answer->reply.bytes;
	int64_t start_us = tl_clock_mono_us();
	enum tl_err err = tl_query_read(map, &task.query, &task.why);
	bool is_read = !err;

	if (!err)
		err = run(&task);
	if (err) {
		answer->reply.bytes = start;
		answer->reply.err = TL_OK;
		put_error(&answer->reply, err, &task.why);
		tl_counter_add(&stats->errors, 1);
		if (err == TL_EUNAUTHENTICATED)
			tl_counter_add(&stats->unauthenticated, 1);
		if (err == TL_EFORBIDDEN)
			tl_counter_add(&stats->denied[task.query.op], 1);
	}
	tl_counter_add(&stats->requests, 1);
	if (is_read)
		tl_histogram_add(&stats->run_us[task.query.op], tl_clock_mono_us() - start_us);
}

/* {v, op: "several", asks: [question, ...]}, all seen at one moment. */
static enum tl_err
answer_several(struct answer *answer, struct tl_slice map, const struct query_scene *scene,
	struct tl_why *why)
{
	struct tl_pack_open reply, list;
	struct tl_reader asks;
	uint32_t count;

	if (!tl_reader_find(map, "asks", &asks) || tl_reader_peek(&asks) != TL_WIRE_ARRAY)
		return tl_fail(why, TL_EBAD_PARAM, "asks: a list of questions is wanted");
	count = tl_read_array(&asks);
	if (count > ANSWER_SEVERAL_MAX)
		return tl_fail(why, TL_EBAD_PARAM, "asks: at most %u questions, got %u",
			ANSWER_SEVERAL_MAX, count);
	reply = tl_pack_open_map(&answer->reply);
	tl_pack_key_int(&answer->reply, &reply, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(&answer->reply, &reply, "ok", true);
	tl_pack_key(&answer->reply, &reply, "answers");
	list = tl_pack_open_array(&answer->reply);
	for (uint32_t i = 0; i < count; i++) {
		answer_question(answer, tl_read_any(&asks), scene, true);
		list.count++;
	}
	tl_pack_close(&answer->reply, &list);
	tl_pack_close(&answer->reply, &reply);
	return answer->reply.err;
}

static enum tl_err
answer_map(struct answer *answer, struct tl_slice map, struct tl_why *why)
{
	struct query_scene scene;
	enum tl_err err = scene_open(answer->source, &scene);

	if (err)
		return err;
	if (tl_slice_eq(tl_reader_find_str(map, "op"), tl_slice_str("several")))
		err = answer_several(answer, map, &scene, why);
	else
		answer_question(answer, map, &scene, false);
	scene_close(&scene);
	return err;
}

struct tl_slice
answer_request(struct answer *answer, struct tl_slice body)
{
	struct tl_slice map;
	struct tl_why why = {0};
	enum tl_err err;

	tl_buf_reset(&answer->reply);
	tl_arena_reset(&answer->arena);
	leases_expire(answer->source->cache->leases);
	err = tl_frame_open(body, TL_FRAME_BYTES_MAX, &answer->inflated, &map, &why);
	if (!err)
		err = tl_reader_check(map, TL_WIRE_DEPTH_MAX, &why);
	if (!err)
		err = answer_map(answer, map, &why);
	if (err) {
		tl_buf_reset(&answer->reply);
		put_error(&answer->reply, err, &why);
		tl_counter_add(&answer->source->stats->requests, 1);
		tl_counter_add(&answer->source->stats->errors, 1);
	}
	return tl_buf_slice(&answer->reply);
}
