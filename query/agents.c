#include "query/agents.h"

#include <stdio.h>

_Static_assert(AGENTS_ID_BYTES >= TL_KEY_ID_BYTES, "an id may be a key's");

enum tl_err
agents_begin(struct agents *agents, struct query_job *job, struct tl_why *why)
{
	size_t count = (size_t)job->scene->org->member_count + 1;

	*agents = (struct agents){
		.job = job,
		.is_wanted = tl_arena_array(job->arena, count, sizeof(*agents->is_wanted)),
		.first = tl_arena_array(job->arena, count, sizeof(struct agents_row *)),
	};
	if (agents->is_wanted == NULL || agents->first == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for the agents");
	return TL_OK;
}

void
agents_want(struct agents *agents, uint32_t member_no)
{
	agents->is_wanted[member_no] = true;
}

const struct agents_row *
agents_of(const struct agents *agents, uint32_t member_no)
{
	return agents->first[member_no];
}

/* An agent goes by its newest key; one that appeared with an event has none. */
static void
take_key(struct agents_row *row, const struct tl_credential *credential)
{
	if (row->key_created_ms > credential->created_ms)
		return;
	row->key_created_ms = credential->created_ms;
	memcpy(row->id, credential->key_id, sizeof(credential->key_id));
}

static enum tl_err
add(struct agents *agents, const struct tl_agent *agent, struct agents_row **row_out,
	struct tl_why *why)
{
	struct agents_row *row = tl_arena_alloc(agents->job->arena, sizeof(*row));

	if (row == NULL)
		return TL_ENOMEM;
	row->agent = agent;
	row->key_created_ms = INT64_MIN;
	row->next = agents->first[agent->member_no];
	agents->first[agent->member_no] = row;
	snprintf(row->id, sizeof(row->id), "%u", agent->no);
	*row_out = row;
	return job_life(agents->job, TL_DIM_AGENT, agent->no, &row->life, why);
}

/* One walk over the org's keys for all rows. */
static void
take_keys(struct agents *agents, struct agents_row *const *rows)
{
	const struct query_scene *scene = agents->job->scene;
	const struct tl_credential *credential;
	size_t cursor = 0;

	while ((credential = tl_registry_credential_next(
			scene->registry, scene->org->no, &cursor)) != NULL) {
		if (credential->type == TL_CREDENTIAL_AGENT && credential->agent_no != 0 &&
			credential->agent_no <= scene->org->agent_count &&
			rows[credential->agent_no - 1] != NULL)
			take_key(rows[credential->agent_no - 1], credential);
	}
}

enum tl_err
agents_read(struct agents *agents, struct tl_why *why)
{
	struct query_job *job = agents->job;
	const struct tl_org *org = job->scene->org;
	struct agents_row **rows =
		tl_arena_array(job->arena, org->agent_count, sizeof(struct agents_row *));
	bool has_key = false;
	enum tl_err err = rows == NULL ? TL_ENOMEM : TL_OK;

	/* Backwards, as each is put in front of the one before. */
	for (uint32_t i = org->agent_count; !err && i > 0; i--) {
		const struct tl_agent *agent = org->agents[i - 1];

		if (!agent->live || agent->member_no > org->member_count ||
			!agents->is_wanted[agent->member_no])
			continue;
		has_key |= agent->enrolled;
		err = add(agents, agent, &rows[i - 1], why);
	}
	if (!err && has_key)
		take_keys(agents, rows);
	return err;
}
