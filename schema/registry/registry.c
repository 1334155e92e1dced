/*
 * Snapshots and where they are published. A snapshot is an array of pointers to org states and one
 * to the credentials; the next one shares with it whatever no edit touched:
 *
 *   roster -> registry 8 -> org 1, org 2, org 3  -> member and agent records
 *             registry 7 ---^      ^--- org 2'
 *
 * The roster holds one count of the current snapshot, readers one each of theirs. Pinning is under
 * a lock because between reading the pointer and counting it the writer could let the last count
 * go; the lock is held for those two statements only.
 */
#include "schema/registry/registry_private.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "schema/base/rate.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define RESOLVES_MAX 1000u
#define RESOLVE_WINDOW_MS 1000
#define RESOLVERS 1024u /* credentials that are counted at the same time */

struct tl_roster {
	pthread_mutex_t mtx;
	struct tl_rate *resolves;
	struct tl_registry *current; /* guarded by mtx; only the writer thread replaces it */
	struct tl_edit edit;	     /* writer thread only */
};

struct tl_registry *
tl_registry_new(void)
{
	struct tl_registry *registry = tl_shared_new(sizeof(*registry));

	if (!registry)
		return NULL;
	registry->credentials = tl_credentials_new();
	registry->signins = tl_signins_new();
	if (!registry->credentials || !registry->signins) {
		tl_credentials_drop(registry->credentials);
		tl_signins_drop(registry->signins);
		tl_shared_free(registry);
		return NULL;
	}
	return registry;
}

enum tl_err
tl_registry_clone(const struct tl_registry *registry, struct tl_registry **clone_out)
{
	struct tl_registry *clone = tl_shared_new(sizeof(*clone));

	if (!clone)
		return TL_ENOMEM;
	*clone = *registry;
	clone->orgs = NULL;
	clone->org_capacity = registry->org_count;
	if (clone->org_capacity > 0) {
		clone->orgs = calloc(clone->org_capacity, sizeof(*clone->orgs));
		if (!clone->orgs) {
			tl_shared_free(clone);
			return TL_ENOMEM;
		}
	}
	for (uint32_t i = 0; i < clone->org_count; i++) {
		clone->orgs[i] = registry->orgs[i];
		tl_shared_hold(clone->orgs[i]);
	}
	tl_shared_hold(clone->credentials);
	tl_shared_hold(clone->signins);
	*clone_out = clone;
	return TL_OK;
}

enum tl_err
tl_registry_add_org(struct tl_registry *registry, struct tl_org_state *state)
{
	if (registry->org_count == registry->org_capacity) {
		uint32_t capacity = registry->org_capacity * 2 + 1;
		struct tl_org_state **orgs = realloc(registry->orgs, capacity * sizeof(*orgs));

		if (!orgs)
			return TL_ENOMEM;
		registry->orgs = orgs;
		registry->org_capacity = capacity;
	}
	assert(state->org.no == registry->org_count + 1);
	registry->orgs[registry->org_count++] = state;
	return TL_OK;
}

void
tl_registry_unpin(const struct tl_registry *registry)
{
	if (!registry || !tl_shared_drop(registry))
		return;
	for (uint32_t i = 0; i < registry->org_count; i++)
		tl_org_state_drop(registry->orgs[i]);
	tl_credentials_drop(registry->credentials);
	tl_signins_drop(registry->signins);
	free(registry->orgs);
	tl_shared_free(registry);
}

const struct tl_registry *
tl_registry_pin(struct tl_roster *roster)
{
	const struct tl_registry *registry;

	pthread_mutex_lock(&roster->mtx);
	registry = roster->current;
	tl_shared_hold(registry);
	pthread_mutex_unlock(&roster->mtx);
	return registry;
}

struct tl_registry *
tl_roster_current(struct tl_roster *roster)
{
	return roster->current;
}

void
tl_roster_publish(struct tl_roster *roster, struct tl_registry *registry)
{
	struct tl_registry *before = roster->current;

	registry->generation = before->generation + 1;
	pthread_mutex_lock(&roster->mtx);
	roster->current = registry;
	pthread_mutex_unlock(&roster->mtx);
	tl_registry_unpin(before);
}

struct tl_edit *
tl_roster_edit(struct tl_roster *roster)
{
	return &roster->edit;
}

/* What a load has read so far: numbers are dense, so each row must bear the next one. */
struct load {
	struct tl_registry *registry;
	struct tl_org_state *state; /* of the newest org; NULL before the first */
	uint32_t credential_no;	    /* the last of the org being read */
	uint32_t credential_org_no;
	uint32_t signin_no; /* the same for sign-ins */
	uint32_t signin_org_no;
};

static enum tl_err
load_org(struct load *load, uint32_t org_no, uint32_t no, struct tl_slice value, struct tl_why *why)
{
	char name_text[TL_NAME_BYTES_MAX + 1];
	struct tl_org_state *state;
	struct tl_org org;
	enum tl_err err;

	if (no != 0 || org_no != load->registry->org_count + 1)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "numbers are not dense");
	err = tl_org_decode(value, &org, name_text, why);
	if (err)
		return err;
	org.no = org_no;
	err = tl_org_state_new(&org, &state);
	if (err)
		return err;
	err = tl_registry_add_org(load->registry, state);
	if (err) {
		tl_org_state_drop(state);
		return err;
	}
	load->state = state;
	return TL_OK;
}

static enum tl_err
load_member(struct load *load, uint32_t no, struct tl_slice value, struct tl_why *why)
{
	struct tl_member *member;
	enum tl_err err;

	if (no != load->state->org.member_count + 1)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "numbers are not dense");
	err = tl_member_decode(value, &member, why);
	if (err)
		return err;
	member->no = no;
	err = tl_org_state_put_member(load->state, member);
	if (err) {
		tl_record_drop(member);
		if (err == TL_ECONFLICT)
			return tl_fail(why, TL_ESTORAGE_CORRUPT, "the member id appears twice");
	}
	return err;
}

static enum tl_err
load_agent(struct load *load, uint32_t no, struct tl_slice value, struct tl_why *why)
{
	struct tl_agent *agent;
	enum tl_err err;

	if (no != load->state->org.agent_count + 1)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "numbers are not dense");
	err = tl_agent_decode(value, &agent, why);
	if (err)
		return err;
	agent->no = no;
	if (!tl_org_member(&load->state->org, agent->member_no)) {
		tl_record_drop(agent);
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "an agent of nobody");
	}
	err = tl_org_state_put_agent(load->state, agent);
	if (err)
		tl_record_drop(agent);
	return err;
}

static enum tl_err
load_credential(
	struct load *load, uint32_t org_no, uint32_t no, struct tl_slice value, struct tl_why *why)
{
	struct tl_credential *credential;
	enum tl_err err;

	if (org_no != load->credential_org_no) {
		load->credential_org_no = org_no;
		load->credential_no = 0;
	}
	if (no != load->credential_no + 1)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "numbers are not dense");
	err = tl_credential_decode(value, &credential, why);
	if (err)
		return err;
	credential->org_no = org_no;
	if (tl_credentials_find(load->registry->credentials, tl_slice_str(credential->key_id))) {
		tl_record_drop(credential);
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "the key id appears twice");
	}
	err = tl_credentials_put(load->registry->credentials, credential, &no);
	if (err) {
		tl_record_drop(credential);
		return err;
	}
	load->credential_no = no;
	return TL_OK;
}

/* Behind the org's other records, so the ones of the same org stand together. */
static enum tl_err
load_signin(
	struct load *load, uint32_t org_no, uint32_t no, struct tl_slice value, struct tl_why *why)
{
	struct tl_signin *signin;
	enum tl_err err;

	if (org_no != load->signin_org_no) {
		load->signin_org_no = org_no;
		load->signin_no = 0;
	}
	if (no != load->signin_no + 1)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "numbers are not dense");
	err = tl_signin_decode(value, &signin, why);
	if (err)
		return err;
	signin->org_no = org_no;
	signin->no = no;
	err = tl_signins_put(load->registry->signins, signin);
	if (err) {
		tl_record_drop(signin);
		return err;
	}
	load->signin_no = no;
	return TL_OK;
}

static enum tl_err
load_row(struct load *load, uint32_t org_no, uint8_t kind, uint32_t no, struct tl_slice value,
	struct tl_why *why)
{
	if (kind == TL_RECORD_ORG)
		return load_org(load, org_no, no, value, why);
	if (org_no != load->registry->org_count)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "its org has no record");
	if (kind == TL_RECORD_CREDENTIAL)
		return load_credential(load, org_no, no, value, why);
	if (kind == TL_RECORD_MEMBER && load->state)
		return load_member(load, no, value, why);
	if (kind == TL_RECORD_AGENT && load->state)
		return load_agent(load, no, value, why);
	if (kind == TL_RECORD_SIGNIN && load->state)
		return load_signin(load, org_no, no, value, why);
	return tl_fail(why, TL_ESTORAGE_CORRUPT, "no such kind of record");
}

static enum tl_err
load_all(struct tl_store *store, struct tl_registry *registry, struct tl_why *why)
{
	struct load load = {.registry = registry};
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	uint32_t org_no = 0, no = 0;
	uint8_t kind = 0;
	enum tl_err err;

	err = tl_scan_open(store, NULL, TL_FAMILY_REGISTRY, tl_slice_of(NULL, 0),
		tl_slice_of(NULL, 0), &scan, why);
	if (err)
		return err;
	for (;;) {
		struct tl_why row_why = {""};

		err = tl_scan_next(scan, &key, &value, why);
		if (err)
			break;
		if (!tl_key_registry_parse(key, &org_no, &kind, &no)) {
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "registry: not a key");
			break;
		}
		err = load_row(&load, org_no, kind, no, value, &row_why);
		if (err) {
			err = tl_fail(why, err,
				"registry row org=%" PRIu32 " kind=%u no=%" PRIu32 ": %.120s",
				org_no, kind, no,
				row_why.text[0] ? row_why.text : tl_err_text(err));
			break;
		}
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

enum tl_err
tl_roster_open(struct tl_store *store, struct tl_roster **roster_out, struct tl_why *why)
{
	struct tl_roster *roster = NULL;
	struct tl_registry *registry = tl_registry_new();
	enum tl_err err = TL_ENOMEM;

	if (!registry)
		goto out;
	err = load_all(store, registry, why);
	if (err)
		goto out;
	roster = calloc(1, sizeof(*roster));
	if (!roster) {
		err = TL_ENOMEM;
		goto out;
	}
	err = tl_rate_new(RESOLVES_MAX, RESOLVE_WINDOW_MS, RESOLVERS, &roster->resolves);
	if (err) {
		free(roster);
		goto out;
	}
	pthread_mutex_init(&roster->mtx, NULL);
	registry->generation = 1;
	roster->current = registry;
	roster->edit.roster = roster;
	tl_buf_init(&roster->edit.value, 0);
	*roster_out = roster;
	registry = NULL;

out:
	tl_registry_unpin(registry);
	return err;
}

void
tl_roster_free(struct tl_roster *roster)
{
	if (!roster)
		return;
	assert(!roster->edit.is_open);
	tl_buf_fini(&roster->edit.value);
	tl_registry_unpin(roster->current);
	tl_rate_free(roster->resolves);
	pthread_mutex_destroy(&roster->mtx);
	free(roster);
}

enum tl_err
tl_roster_allow_resolve(struct tl_roster *roster, const struct tl_caller *caller, int64_t now_ms,
	struct tl_why *why)
{
	if (caller->is_operator ||
		tl_rate_count(roster->resolves, tl_slice_str(caller->key_id), now_ms) == 0)
		return TL_OK;
	return tl_fail(why, TL_ERATE_LIMITED, "at most %u keys a second", RESOLVES_MAX);
}

uint64_t
tl_registry_generation(const struct tl_registry *registry)
{
	return registry->generation;
}

uint32_t
tl_registry_org_count(const struct tl_registry *registry)
{
	return registry->org_count;
}

const struct tl_org *
tl_registry_org(const struct tl_registry *registry, uint32_t org_no)
{
	if (org_no == 0 || org_no > registry->org_count)
		return NULL;
	return &registry->orgs[org_no - 1]->org;
}

const struct tl_org *
tl_registry_org_named(const struct tl_registry *registry, struct tl_slice name)
{
	for (uint32_t i = 0; i < registry->org_count; i++) {
		const struct tl_org *org = &registry->orgs[i]->org;

		if (tl_slice_eq(tl_slice_str(org->name), name))
			return org;
	}
	return NULL;
}

const struct tl_credential *
tl_registry_key(const struct tl_registry *registry, struct tl_slice key_id)
{
	return tl_credentials_find(registry->credentials, key_id);
}

const struct tl_credential *
tl_registry_credential(const struct tl_registry *registry, struct tl_slice token)
{
	const struct tl_credential *credential;
	struct tl_slice key_id;

	if (!tl_token_parse(token, &key_id))
		return NULL;
	credential = tl_registry_key(registry, key_id);
	return credential && tl_token_matches(credential, token) ? credential : NULL;
}

const struct tl_credential *
tl_registry_credential_next(const struct tl_registry *registry, uint32_t org_no, size_t *cursor)
{
	const struct tl_credentials *credentials = registry->credentials;

	while (*cursor < credentials->count) {
		const struct tl_credential *credential = credentials->list[(*cursor)++];

		if (credential->org_no == org_no)
			return credential;
	}
	return NULL;
}

const struct tl_signin *
tl_registry_signin(const struct tl_registry *registry, struct tl_slice secret)
{
	return tl_signins_find(registry->signins, secret);
}

const struct tl_signin *
tl_registry_signin_next(const struct tl_registry *registry, uint32_t org_no, size_t *cursor)
{
	const struct tl_signins *signins = registry->signins;

	while (*cursor < signins->count) {
		const struct tl_signin *signin = signins->list[(*cursor)++];

		if (signin->org_no == org_no)
			return signin;
	}
	return NULL;
}
