/*
 * An org with its people. Members and agents stand in arrays by number; two indexes with open
 * addressing find them by id and by (member, type). Nobody is ever taken out: who leaves keeps the
 * number and the history, so an index only grows.
 */
#include "schema/registry/registry_private.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"

#define CAPACITY_MIN 8u

/* Twice the numbers, so that runs of linear probing stay short. */
#define SLOT_COUNT(capacity) ((size_t)(capacity)*2)

static const struct tl_org_state *
state_of(const struct tl_org *org)
{
	return (const struct tl_org_state *)(const void *)org;
}

/* An array of the same length and content; *out is NULL for an empty one. */
static enum tl_err
duplicate(const void *array, size_t count, size_t element_bytes, void *out)
{
	void *copy = NULL;

	if (count > 0) {
		copy = malloc(count * element_bytes);
		if (!copy)
			return TL_ENOMEM;
		memcpy(copy, array, count * element_bytes);
	}
	memcpy(out, &copy, sizeof(copy));
	return TL_OK;
}

/* The slot that holds id, or the empty one where it belongs. capacity is not 0. */
static uint32_t *
member_slot(const struct tl_org_state *state, const uint8_t id[16])
{
	size_t mask = SLOT_COUNT(state->member_capacity) - 1;
	size_t i = tl_hash(&state->hash_key, tl_slice_of(id, 16)) & mask;

	for (;; i = (i + 1) & mask) {
		uint32_t no = state->member_slots[i];

		if (no == 0 || memcmp(state->members[no - 1]->id, id, 16) == 0)
			return &state->member_slots[i];
	}
}

static uint64_t
agent_hash(const struct tl_org_state *state, uint32_t member_no, struct tl_slice type)
{
	/* Types are short; the rest of a longer one only tells apart what then compares unequal. */
	uint8_t key[4 + TL_AGENT_TYPE_BYTES_MAX];
	size_t type_bytes =
		type.bytes < TL_AGENT_TYPE_BYTES_MAX ? type.bytes : TL_AGENT_TYPE_BYTES_MAX;

	tl_put_be32(key, member_no);
	if (type_bytes > 0)
		memcpy(key + 4, type.data, type_bytes);
	return tl_hash(&state->hash_key, tl_slice_of(key, 4 + type_bytes));
}

/* The slot of (member, type), or the empty one where it belongs. capacity is not 0. */
static uint32_t *
agent_slot(const struct tl_org_state *state, uint32_t member_no, struct tl_slice type)
{
	size_t mask = SLOT_COUNT(state->agent_capacity) - 1;
	size_t i = agent_hash(state, member_no, type) & mask;

	for (;; i = (i + 1) & mask) {
		uint32_t no = state->agent_slots[i];
		const struct tl_agent *agent;

		if (no == 0)
			return &state->agent_slots[i];
		agent = state->agents[no - 1];
		if (agent->member_no == member_no && tl_slice_eq(tl_slice_str(agent->type), type))
			return &state->agent_slots[i];
	}
}

/* How well an agent stands for its (member, type): 0 not at all. */
static int
agent_standing(const struct tl_agent *agent)
{
	if (!agent->enrolled)
		return 1;
	return agent->live ? 2 : 0;
}

static void
share_arrays(struct tl_org_state *state)
{
	state->org.members = state->members;
	state->org.agents = state->agents;
}

enum tl_err
tl_org_state_new(const struct tl_org *org, struct tl_org_state **state_out)
{
	struct tl_org_state *state = tl_shared_new(sizeof(*state));

	if (!state)
		return TL_ENOMEM;
	tl_hash_key_make(&state->hash_key);
	state->org.no = org->no;
	tl_org_state_set(state, org);
	*state_out = state;
	return TL_OK;
}

void
tl_org_state_set(struct tl_org_state *state, const struct tl_org *org)
{
	struct tl_org before = state->org;
	size_t name_bytes = strlen(org->name);

	assert(name_bytes <= TL_NAME_BYTES_MAX);
	assert(org->zone);
	memmove(state->name, org->name, name_bytes + 1);
	state->org = *org;
	state->org.no = before.no;
	state->org.generation = before.generation;
	state->org.name = state->name;
	state->org.member_count = before.member_count;
	state->org.agent_count = before.agent_count;
	share_arrays(state);
}

static void
state_free(const struct tl_org_state *state)
{
	free(state->members);
	free(state->agents);
	free(state->member_slots);
	free(state->agent_slots);
	tl_shared_free(state);
}

void
tl_org_state_drop(const struct tl_org_state *state)
{
	if (!state || !tl_shared_drop(state))
		return;
	for (uint32_t i = 0; i < state->org.member_count; i++)
		tl_record_drop(state->members[i]);
	for (uint32_t i = 0; i < state->org.agent_count; i++)
		tl_record_drop(state->agents[i]);
	state_free(state);
}

enum tl_err
tl_org_state_clone(const struct tl_org_state *state, struct tl_org_state **clone_out)
{
	struct tl_org_state *clone = tl_shared_new(sizeof(*clone));
	enum tl_err err;

	if (!clone)
		return TL_ENOMEM;
	*clone = *state;
	clone->org.name = clone->name;
	clone->members = NULL;
	clone->agents = NULL;
	clone->member_slots = NULL;
	clone->agent_slots = NULL;
	err = duplicate(
		state->members, state->member_capacity, sizeof(*state->members), &clone->members);
	if (!err)
		err = duplicate(state->agents, state->agent_capacity, sizeof(*state->agents),
			&clone->agents);
	if (!err)
		err = duplicate(state->member_slots, SLOT_COUNT(state->member_capacity),
			sizeof(*state->member_slots), &clone->member_slots);
	if (!err)
		err = duplicate(state->agent_slots, SLOT_COUNT(state->agent_capacity),
			sizeof(*state->agent_slots), &clone->agent_slots);
	if (err) {
		state_free(clone);
		return err;
	}
	for (uint32_t i = 0; i < clone->org.member_count; i++)
		tl_shared_hold(clone->members[i]);
	for (uint32_t i = 0; i < clone->org.agent_count; i++)
		tl_shared_hold(clone->agents[i]);
	share_arrays(clone);
	*clone_out = clone;
	return TL_OK;
}

/* An array of pointers and its index, both for twice as many; the index is left empty. */
static enum tl_err
grow(void *array_inout, uint32_t **slots_inout, uint32_t *capacity_inout, uint32_t count_max)
{
	uint32_t capacity = *capacity_inout > 0 ? *capacity_inout * 2 : CAPACITY_MIN;
	uint32_t *slots;
	void *array;

	if (*capacity_inout >= count_max)
		return TL_EFULL;
	slots = calloc(SLOT_COUNT(capacity), sizeof(*slots));
	if (!slots)
		return TL_ENOMEM;
	memcpy(&array, array_inout, sizeof(array));
	array = realloc(array, capacity * sizeof(void *));
	if (!array) {
		free(slots);
		return TL_ENOMEM;
	}
	memcpy(array_inout, &array, sizeof(array));
	free(*slots_inout);
	*slots_inout = slots;
	*capacity_inout = capacity;
	return TL_OK;
}

static enum tl_err
grow_members(struct tl_org_state *state)
{
	enum tl_err err = grow(
		&state->members, &state->member_slots, &state->member_capacity, TL_MEMBERS_MAX);

	if (err)
		return err;
	share_arrays(state);
	for (uint32_t no = 1; no <= state->org.member_count; no++)
		*member_slot(state, state->members[no - 1]->id) = no;
	return TL_OK;
}

enum tl_err
tl_org_state_put_member(struct tl_org_state *state, const struct tl_member *member)
{
	uint32_t no = member->no;
	uint32_t *slot;
	enum tl_err err;

	assert(no > 0);
	assert(no <= state->org.member_count + 1);
	if (no <= state->org.member_count) {
		assert(memcmp(state->members[no - 1]->id, member->id, sizeof(member->id)) == 0);
		tl_record_drop(state->members[no - 1]);
		state->members[no - 1] = member;
		return TL_OK;
	}
	if (no > state->member_capacity) {
		err = grow_members(state);
		if (err)
			return err;
	}
	slot = member_slot(state, member->id);
	if (*slot != 0)
		return TL_ECONFLICT;
	*slot = no;
	state->members[no - 1] = member;
	state->org.member_count = no;
	return TL_OK;
}

/* The agent that stands best for (member, type) takes the slot; the newer of two equals. */
static void
agent_claim(struct tl_org_state *state, const struct tl_agent *agent)
{
	uint32_t *slot = agent_slot(state, agent->member_no, tl_slice_str(agent->type));

	if (*slot == 0 || agent_standing(agent) >= agent_standing(state->agents[*slot - 1]))
		*slot = agent->no;
}

static enum tl_err
grow_agents(struct tl_org_state *state)
{
	enum tl_err err =
		grow(&state->agents, &state->agent_slots, &state->agent_capacity, TL_AGENTS_MAX);

	if (err)
		return err;
	share_arrays(state);
	for (uint32_t i = 0; i < state->org.agent_count; i++)
		agent_claim(state, state->agents[i]);
	return TL_OK;
}

/* Replace; when it ended, another of the same (member, type) may have to stand in. */
static void
replace_agent(struct tl_org_state *state, const struct tl_agent *agent)
{
	const struct tl_agent *before = state->agents[agent->no - 1];
	bool is_worse = agent_standing(agent) < agent_standing(before);

	assert(before->member_no == agent->member_no);
	assert(strcmp(before->type, agent->type) == 0);
	state->agents[agent->no - 1] = agent;
	tl_record_drop(before);
	agent_claim(state, agent);
	/* Unenrolment is rare enough to look at everybody. */
	for (uint32_t i = 0; is_worse && i < state->org.agent_count; i++) {
		const struct tl_agent *other = state->agents[i];

		if (other->member_no == agent->member_no && strcmp(other->type, agent->type) == 0)
			agent_claim(state, other);
	}
}

enum tl_err
tl_org_state_put_agent(struct tl_org_state *state, const struct tl_agent *agent)
{
	enum tl_err err;

	assert(agent->no > 0);
	assert(agent->no <= state->org.agent_count + 1);
	if (agent->no <= state->org.agent_count) {
		replace_agent(state, agent);
		return TL_OK;
	}
	if (agent->no > state->agent_capacity) {
		err = grow_agents(state);
		if (err)
			return err;
	}
	state->agents[agent->no - 1] = agent;
	state->org.agent_count = agent->no;
	agent_claim(state, agent);
	return TL_OK;
}

const struct tl_member *
tl_org_member(const struct tl_org *org, uint32_t member_no)
{
	if (member_no == 0 || member_no > org->member_count)
		return NULL;
	return org->members[member_no - 1];
}

const struct tl_member *
tl_org_member_by_id(const struct tl_org *org, const uint8_t id[16])
{
	const struct tl_org_state *state = state_of(org);

	if (state->member_capacity == 0)
		return NULL;
	return tl_org_member(org, *member_slot(state, id));
}

const struct tl_agent *
tl_org_agent(const struct tl_org *org, uint32_t agent_no)
{
	if (agent_no == 0 || agent_no > org->agent_count)
		return NULL;
	return org->agents[agent_no - 1];
}

const struct tl_agent *
tl_org_agent_of(const struct tl_org *org, uint32_t member_no, struct tl_slice type)
{
	const struct tl_org_state *state = state_of(org);
	const struct tl_agent *agent;

	if (state->agent_capacity == 0)
		return NULL;
	agent = tl_org_agent(org, *agent_slot(state, member_no, type));
	return agent && agent_standing(agent) > 0 ? agent : NULL;
}

void
tl_org_member_id(const struct tl_org *org, struct tl_slice email, uint8_t id_out[16])
{
	uint8_t mac[32];

	tl_hmac_sha256(org->secret, email, mac);
	memcpy(id_out, mac, 16);
}
