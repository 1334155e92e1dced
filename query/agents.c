#include "query/agents.h"

#include <stdio.h>
#include <stdlib.h>

#include "query/kept.h"

#define AGENTS_BYTES_MAX (256u << 20)

_Static_assert(AGENTS_ID_BYTES >= TL_KEY_ID_BYTES, "an id may be a key's");

static void
agents_free(struct lru_value *value)
{
	struct agents *agents = (struct agents *)value;

	tl_arena_fini(&agents->arena);
	free(agents);
}

/* An agent goes by its newest key; one that appeared with an event has none. */
static enum tl_err
take_keys(struct agents *agents, const struct query_scene *scene)
{
	int64_t *created_ms = tl_arena_array(
		&agents->arena, (size_t)agents->agent_count + 1, sizeof(*created_ms));
	const struct tl_credential *credential;
	size_t cursor = 0;

	if (created_ms == NULL)
		return TL_ENOMEM;
	while ((credential = tl_registry_credential_next(
			scene->registry, scene->org->no, &cursor)) != NULL) {
		uint32_t no = credential->agent_no;

		if (credential->type != TL_CREDENTIAL_AGENT || no == 0 ||
			no > agents->agent_count || created_ms[no] > credential->created_ms)
			continue;
		created_ms[no] = credential->created_ms;
		memcpy(agents->id[no], credential->key_id, sizeof(credential->key_id));
	}
	return TL_OK;
}

static enum tl_err
count_people(struct agents *agents, const struct tl_org *org)
{
	agents->removed =
		tl_arena_array(&agents->arena, org->member_count, sizeof(*agents->removed));
	if (agents->removed == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < org->member_count; i++) {
		if (org->members[i]->state == TL_MEMBER_REMOVED)
			agents->removed[agents->removed_count++] = org->members[i]->no;
		else
			agents->present_count++;
	}
	return TL_OK;
}

static enum tl_err
fill(struct agents *agents, const struct query_scene *scene)
{
	const struct tl_org *org = scene->org;
	size_t members = (size_t)org->member_count + 1;
	size_t count = (size_t)org->agent_count + 1;
	enum tl_err err;

	agents->generation = org->generation;
	agents->member_count = org->member_count;
	agents->agent_count = org->agent_count;
	agents->first = tl_arena_array(&agents->arena, members, sizeof(*agents->first));
	agents->next = tl_arena_array(&agents->arena, count, sizeof(*agents->next));
	agents->id = tl_arena_array(&agents->arena, count, sizeof(*agents->id));
	if (agents->first == NULL || agents->next == NULL || agents->id == NULL)
		return TL_ENOMEM;
	/* Backwards, as each is put in front of the one before. */
	for (uint32_t no = org->agent_count; no > 0; no--) {
		const struct tl_agent *agent = org->agents[no - 1];

		snprintf(agents->id[no], sizeof(agents->id[no]), "%u", no);
		if (!agent->live || agent->member_no == 0 || agent->member_no > org->member_count)
			continue;
		agents->next[no] = agents->first[agent->member_no];
		agents->first[agent->member_no] = no;
	}
	err = count_people(agents, org);
	return err ? err : take_keys(agents, scene);
}

static enum tl_err
build(const struct query_scene *scene, struct agents **agents_out)
{
	struct agents *agents = calloc(1, sizeof(*agents));
	enum tl_err err;

	if (agents == NULL)
		return TL_ENOMEM;
	agents->value = (struct lru_value){.free = agents_free, .pin_count = 1};
	tl_arena_init(&agents->arena, AGENTS_BYTES_MAX);
	err = fill(agents, scene);
	if (err) {
		agents_free(&agents->value);
		return err;
	}
	/* Chunks double: twice what is in use at most. */
	agents->value.bytes = sizeof(*agents) + 2 * agents->arena.used_bytes;
	*agents_out = agents;
	return TL_OK;
}

enum tl_err
agents_get(struct query_job *job, const struct agents **agents_out, struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	struct agents *agents = NULL;
	uint8_t key_bytes[5] = {[4] = 'a'};
	struct tl_slice key = tl_slice_of(key_bytes, sizeof(key_bytes));
	enum tl_err err;

	tl_put_be32(key_bytes, scene->org->no);
	if (scene->cache != NULL)
		agents = (struct agents *)lru_get(scene->cache->boards, key);
	if (agents != NULL && agents->generation != scene->org->generation) {
		lru_unpin(scene->cache->boards, &agents->value);
		agents = NULL;
	}
	if (agents == NULL) {
		err = build(scene, &agents);
		if (err)
			return tl_fail(why, err, "no memory for the agents");
		if (scene->cache != NULL)
			lru_put(scene->cache->boards, key, &agents->value);
	}
	job->agents = &agents->value;
	*agents_out = agents;
	return TL_OK;
}
