#include "query/job.h"

#include <assert.h>

#include "query/kept.h"
#include "schema/store/dict.h"
#include "schema/store/key.h"

struct facts_ask
job_facts(const struct query_job *job, const struct tl_window *window)
{
	struct facts_ask ask = facts_all(window);

	ask.only_member = job->only_member;
	return ask;
}

static enum tl_err
read_board(struct query_job *job, const struct past_ask *ask, struct past_board **board_out,
	struct tl_why *why)
{
	assert(job->board_count < JOB_BOARDS_MAX);
	*board_out = &job->boards[job->board_count++];
	return past_board_init(*board_out, ask, job->arena, why);
}

enum tl_err
job_whole_board(struct query_job *job, enum tl_dim dim, const struct past_board **board_out,
	struct tl_why *why)
{
	struct past_ask ask = {.scene = job->scene, .window = &job->window, .dim = dim};
	struct past_board *board;
	enum tl_err err = read_board(job, &ask, &board, why);

	*board_out = board;
	return err;
}

enum tl_err
job_board_before(
	struct query_job *job, enum tl_dim dim, struct board **board_out, struct tl_why *why)
{
	struct tl_window before;
	struct past_ask ask = {
		.scene = job->scene, .window = &before, .dim = dim, .is_before = true};
	struct past_board *board;
	enum tl_err err;

	tl_window_before(&job->window, &before);
	err = read_board(job, &ask, &board, why);
	*board_out = &board->board;
	return err;
}

enum tl_err
job_uses(struct query_job *job, const struct past_board **board_out, struct tl_why *why)
{
	struct tl_window window;
	struct past_ask ask = {.scene = job->scene, .window = &window, .dim = TL_DIM_MEMBER};
	struct past_board *board;
	enum tl_err err;

	tl_window_fixed(TL_RANGE_24H, job->scene->org->zone, job->scene->now_ms, &window);
	err = read_board(job, &ask, &board, why);
	*board_out = board;
	return err;
}

enum tl_err
job_board(
	struct query_job *job, enum tl_dim dim, const struct board **board_out, struct tl_why *why)
{
	struct facts_ask ask = job_facts(job, &job->window);
	const struct past_board *whole;
	struct past_board *part;
	enum tl_err err;

	if (job->only_member == 0) {
		err = job_whole_board(job, dim, &whole, why);
		*board_out = &whole->board;
		return err;
	}
	assert(job->board_count < JOB_BOARDS_MAX);
	part = &job->boards[job->board_count++];
	*board_out = &part->board;
	ask.exact_splits = dim == TL_DIM_PR;
	err = board_init(&part->board, dim, false, NULL, job->arena);
	return err ? err : board_add(&part->board, job->scene, &ask, why);
}

void
job_fini(struct query_job *job)
{
	while (job->board_count > 0)
		past_board_fini(&job->boards[--job->board_count], job->scene);
	if (job->agents == NULL)
		return;
	if (job->scene->cache != NULL)
		lru_unpin(job->scene->cache->boards, job->agents);
	else
		job->agents->free(job->agents);
}

enum tl_err
job_name(const struct query_job *job, enum tl_name_kind kind, uint32_t id,
	struct tl_slice *name_out, struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	struct tl_buf name;
	enum tl_err err = TL_OK;

	*name_out = tl_slice_of("", 0);
	if (id == 0)
		return TL_OK;
	tl_buf_init(&name, 0);
	err = kept_name(scene, kind, id, &name, why);
	if (err == TL_ENOT_FOUND)
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "name %u of kind %d is missing", id, kind);
	if (!err) {
		*name_out = tl_arena_copy(job->arena, tl_buf_slice(&name));
		if (name_out->data == NULL)
			err = TL_ENOMEM;
	}
	tl_buf_fini(&name);
	return err;
}

enum tl_err
job_find(const struct query_job *job, enum tl_name_kind kind, struct tl_slice name,
	uint32_t *id_out, struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	enum tl_err err = TL_ENOT_FOUND;

	if (name.bytes > 0)
		err = tl_dict_find(
			scene->store, scene->view, scene->org->no, kind, name, id_out, why);
	return err == TL_ENOT_FOUND ? tl_fail(why, err, "no such thing") : err;
}

enum tl_err
job_find_repo(
	const struct query_job *job, struct tl_slice text, uint32_t *id_out, struct tl_why *why)
{
	char name[TL_REPO_BYTES_MAX + 1];

	if (tl_repo_normalise(text, name))
		return tl_fail(why, TL_ENOT_FOUND, "no such repository");
	return job_find(job, TL_NAME_REPO, tl_slice_str(name), id_out, why);
}

static bool
may_see(const struct query_job *job, uint32_t member_no)
{
	return job->only_member == 0 || job->only_member == member_no;
}

enum tl_err
job_find_member(const struct query_job *job, struct tl_slice hex,
	const struct tl_member **member_out, struct tl_why *why)
{
	const struct tl_member *member = NULL;
	uint8_t id[sizeof(member->id)];

	if (tl_unhex(hex, id, sizeof(id)))
		member = tl_org_member_by_id(job->scene->org, id);
	if (member == NULL || !may_see(job, member->no))
		return tl_fail(why, TL_ENOT_FOUND, "no such member");
	*member_out = member;
	return TL_OK;
}

/* Nine digits hold every number an org can reach. */
static uint32_t
parse_number(struct tl_slice text)
{
	uint32_t number = 0;

	if (text.bytes == 0 || text.bytes > 9)
		return 0;
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		number = number * 10 + (text.data[i] - '0');
	}
	return number;
}

enum tl_err
job_find_agent(const struct query_job *job, struct tl_slice text, const struct tl_agent **agent_out,
	struct tl_why *why)
{
	const struct tl_org *org = job->scene->org;
	const struct tl_credential *credential = tl_registry_key(job->scene->registry, text);
	const struct tl_agent *agent = NULL;
	uint32_t no = parse_number(text);

	if (credential != NULL && credential->type == TL_CREDENTIAL_AGENT &&
		credential->org_no == org->no)
		no = credential->agent_no;
	if (no != 0)
		agent = tl_org_agent(org, no);
	if (agent == NULL || !may_see(job, agent->member_no))
		return tl_fail(why, TL_ENOT_FOUND, "no such agent");
	*agent_out = agent;
	return TL_OK;
}

enum tl_err
job_life(const struct query_job *job, enum tl_dim dim, uint32_t entity, struct tl_life *life_out,
	struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	struct tl_key key = tl_key_life(scene->org->no, dim, entity);
	struct tl_buf bytes;
	enum tl_err err;

	*life_out = (struct tl_life){.first_ms = INT64_MAX, .last_ms = INT64_MIN};
	tl_buf_init(&bytes, 0);
	err = tl_store_get(
		scene->store, scene->view, TL_FAMILY_LIFE, tl_key_slice(&key), &bytes, why);
	if (err == TL_ENOT_FOUND)
		err = TL_OK;
	else if (!err)
		err = tl_life_decode(tl_buf_slice(&bytes), life_out);
	tl_buf_fini(&bytes);
	return err;
}
