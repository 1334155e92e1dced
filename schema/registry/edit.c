/*
 * Editing: the first change shares the newest snapshot into a private one, the first change to an
 * org clones that org's arrays, and from then on changes go in place, so a thousand new members in
 * one edit cost one clone. What has a count of one is private and may be changed.
 */
#include "schema/registry/registry_private.h"

#include <assert.h>

#include "schema/store/key.h"

enum tl_err
tl_edit_begin(struct tl_roster *roster, struct tl_write *write, struct tl_edit **edit_out)
{
	struct tl_edit *edit = tl_roster_edit(roster);

	assert(!edit->is_open);
	edit->is_open = true;
	edit->write = write;
	*edit_out = edit;
	return TL_OK;
}

void
tl_edit_publish(struct tl_edit *edit)
{
	assert(edit->is_open);
	if (edit->next)
		tl_roster_publish(edit->roster, edit->next);
	edit->next = NULL;
	edit->is_open = false;
}

void
tl_edit_discard(struct tl_edit *edit)
{
	if (!edit)
		return;
	assert(edit->is_open);
	tl_registry_unpin(edit->next);
	edit->next = NULL;
	edit->is_open = false;
}

bool
tl_edit_is_dirty(const struct tl_edit *edit)
{
	return edit->next != NULL;
}

const struct tl_registry *
tl_edit_registry(struct tl_edit *edit)
{
	return edit->next ? edit->next : tl_roster_current(edit->roster);
}

const struct tl_org *
tl_edit_org(struct tl_edit *edit, uint32_t org_no)
{
	return tl_registry_org(tl_edit_registry(edit), org_no);
}

const struct tl_org *
tl_edit_org_named(struct tl_edit *edit, struct tl_slice name)
{
	return tl_registry_org_named(tl_edit_registry(edit), name);
}

const struct tl_credential *
tl_edit_credential(struct tl_edit *edit, struct tl_slice token)
{
	return tl_registry_credential(tl_edit_registry(edit), token);
}

const struct tl_credential *
tl_edit_key(struct tl_edit *edit, struct tl_slice key_id)
{
	return tl_registry_key(tl_edit_registry(edit), key_id);
}

static enum tl_err
own_registry(struct tl_edit *edit)
{
	if (edit->next)
		return TL_OK;
	return tl_registry_clone(tl_roster_current(edit->roster), &edit->next);
}

/* The org's state, private to this edit. TL_ENOT_FOUND when there is no such org. */
static enum tl_err
own_org(struct tl_edit *edit, uint32_t org_no, struct tl_org_state **state_out)
{
	struct tl_org_state **place;
	struct tl_org_state *clone;
	enum tl_err err;

	if (!tl_edit_org(edit, org_no))
		return TL_ENOT_FOUND;
	err = own_registry(edit);
	if (err)
		return err;
	place = &edit->next->orgs[org_no - 1];
	if (!tl_shared_is_own(*place)) {
		err = tl_org_state_clone(*place, &clone);
		if (err)
			return err;
		tl_org_state_drop(*place);
		*place = clone;
	}
	(*place)->org.generation = tl_roster_current(edit->roster)->generation + 1;
	*state_out = *place;
	return TL_OK;
}

static enum tl_err
own_credentials(struct tl_edit *edit)
{
	struct tl_credentials *clone;
	enum tl_err err;

	err = own_registry(edit);
	if (err || tl_shared_is_own(edit->next->credentials))
		return err;
	err = tl_credentials_clone(edit->next->credentials, &clone);
	if (err)
		return err;
	tl_credentials_drop(edit->next->credentials);
	edit->next->credentials = clone;
	return TL_OK;
}

static enum tl_err
own_signins(struct tl_edit *edit)
{
	struct tl_signins *clone;
	enum tl_err err;

	err = own_registry(edit);
	if (err || tl_shared_is_own(edit->next->signins))
		return err;
	err = tl_signins_clone(edit->next->signins, &clone);
	if (err)
		return err;
	tl_signins_drop(edit->next->signins);
	edit->next->signins = clone;
	return TL_OK;
}

/* The row of the record whose bytes are in edit->value. */
static void
put_row(struct tl_edit *edit, uint32_t org_no, enum tl_record_kind kind, uint32_t no)
{
	struct tl_key key = tl_key_registry(org_no, (uint8_t)kind, no);

	tl_write_put(
		edit->write, TL_FAMILY_REGISTRY, tl_key_slice(&key), tl_buf_slice(&edit->value));
}

static bool
is_longer(const char *text, size_t bytes_max)
{
	return text && strlen(text) > bytes_max;
}

/* What could not be read again must not be written. */
static enum tl_err
check_org(const struct tl_org *org)
{
	if (is_longer(org->name, TL_NAME_BYTES_MAX))
		return TL_ESTRING_TOO_LONG;
	return org->zone && org->seats >= 0 ? TL_OK : TL_EBAD_PARAM;
}

static enum tl_err
check_member(const struct tl_member *member)
{
	if (is_longer(member->email, TL_EMAIL_BYTES_MAX) ||
		is_longer(member->display_name, TL_NAME_BYTES_MAX) ||
		member->email_enc.bytes > TL_EMAIL_ENC_BYTES_MAX)
		return TL_ESTRING_TOO_LONG;
	return TL_OK;
}

enum tl_err
tl_edit_put_org(struct tl_edit *edit, const struct tl_org *org, uint32_t *no_out)
{
	struct tl_org_state *state;
	uint32_t no = org->no;
	enum tl_err err;

	err = check_org(org);
	if (!err)
		err = own_registry(edit);
	if (err)
		return err;
	if (no == 0) {
		no = edit->next->org_count + 1;
		err = tl_org_state_new(org, &state);
		if (err)
			return err;
		state->org.no = no;
		err = tl_registry_add_org(edit->next, state);
		if (err) {
			tl_org_state_drop(state);
			return err;
		}
	} else {
		/* The copy of what the caller read may die with the shared state: copy it first. */
		struct tl_org copy = *org;
		char name[TL_NAME_BYTES_MAX + 1];

		memcpy(name, org->name, strlen(org->name) + 1);
		copy.name = name;
		err = own_org(edit, no, &state);
		if (err)
			return err;
		tl_org_state_set(state, &copy);
	}
	tl_buf_reset(&edit->value);
	tl_org_encode(&state->org, &edit->value);
	if (edit->value.err)
		return edit->value.err;
	put_row(edit, no, TL_RECORD_ORG, 0);
	*no_out = no;
	return TL_OK;
}

enum tl_err
tl_edit_put_member(
	struct tl_edit *edit, uint32_t org_no, const struct tl_member *member, uint32_t *no_out)
{
	struct tl_org_state *state;
	struct tl_member *copy;
	enum tl_err err;

	err = check_member(member);
	if (err)
		return err;
	copy = tl_member_copy(member);
	if (!copy)
		return TL_ENOMEM;
	err = own_org(edit, org_no, &state);
	if (err)
		goto out;
	if (copy->no == 0)
		copy->no = state->org.member_count + 1;
	tl_buf_reset(&edit->value);
	tl_member_encode(copy, &edit->value);
	err = edit->value.err;
	if (!err)
		err = tl_org_state_put_member(state, copy);
	if (err)
		goto out;
	put_row(edit, org_no, TL_RECORD_MEMBER, copy->no);
	*no_out = copy->no;
	return TL_OK;

out:
	tl_record_drop(copy);
	return err;
}

enum tl_err
tl_edit_put_agent(
	struct tl_edit *edit, uint32_t org_no, const struct tl_agent *agent, uint32_t *no_out)
{
	struct tl_org_state *state;
	struct tl_agent *copy;
	enum tl_err err;

	if (is_longer(agent->type, TL_AGENT_TYPE_BYTES_MAX))
		return TL_ESTRING_TOO_LONG;
	copy = tl_agent_copy(agent);
	if (!copy)
		return TL_ENOMEM;
	err = own_org(edit, org_no, &state);
	if (err)
		goto out;
	if (!tl_org_member(&state->org, copy->member_no)) {
		err = TL_ENOT_FOUND;
		goto out;
	}
	if (copy->no == 0)
		copy->no = state->org.agent_count + 1;
	tl_buf_reset(&edit->value);
	tl_agent_encode(copy, &edit->value);
	err = edit->value.err;
	if (!err)
		err = tl_org_state_put_agent(state, copy);
	if (err)
		goto out;
	put_row(edit, org_no, TL_RECORD_AGENT, copy->no);
	*no_out = copy->no;
	return TL_OK;

out:
	tl_record_drop(copy);
	return err;
}

enum tl_err
tl_edit_put_credential(struct tl_edit *edit, const struct tl_credential *credential)
{
	struct tl_credential *copy;
	struct tl_org_state *state;
	uint32_t no = 0;
	uint32_t org_no;
	enum tl_err err;

	if (is_longer(credential->name, TL_NAME_BYTES_MAX))
		return TL_ESTRING_TOO_LONG;
	if (credential->org_no != 0 && !tl_edit_org(edit, credential->org_no))
		return TL_ENOT_FOUND;
	copy = tl_credential_copy(credential);
	if (!copy)
		return TL_ENOMEM;
	err = own_credentials(edit);
	org_no = copy->org_no;
	/* An agent goes by its newest key: that is a change of the org. */
	if (!err && copy->type == TL_CREDENTIAL_AGENT && org_no != 0)
		err = own_org(edit, org_no, &state);
	if (err)
		goto out;
	tl_buf_reset(&edit->value);
	tl_credential_encode(copy, &edit->value);
	err = edit->value.err;
	if (!err)
		err = tl_credentials_put(edit->next->credentials, copy, &no);
	if (err)
		goto out;
	put_row(edit, org_no, TL_RECORD_CREDENTIAL, no);
	return TL_OK;

out:
	tl_record_drop(copy);
	return err;
}

static enum tl_err
put_signin_row(struct tl_edit *edit, const struct tl_signin *signin)
{
	tl_buf_reset(&edit->value);
	tl_signin_encode(signin, &edit->value);
	if (!edit->value.err)
		put_row(edit, signin->org_no, TL_RECORD_SIGNIN, signin->no);
	return edit->value.err;
}

enum tl_err
tl_edit_put_signin(
	struct tl_edit *edit, const struct tl_signin *signin, int64_t now_ms, uint32_t *no_out)
{
	struct tl_signin *copy;
	enum tl_err err;

	if (!tl_edit_org(edit, signin->org_no))
		return TL_ENOT_FOUND;
	copy = tl_signin_copy(signin);
	if (!copy)
		return TL_ENOMEM;
	err = own_signins(edit);
	if (!err && copy->no == 0)
		copy->no = tl_signins_free_no(edit->next->signins, copy, now_ms);
	if (!err)
		err = tl_signins_put(edit->next->signins, copy);
	if (err) {
		tl_record_drop(copy);
		return err;
	}
	*no_out = copy->no;
	return put_signin_row(edit, copy);
}

enum tl_err
tl_edit_end_signin(struct tl_edit *edit, const struct tl_signin *signin)
{
	struct tl_signin ended = {.org_no = signin->org_no, .no = signin->no};
	uint32_t no;

	return tl_edit_put_signin(edit, &ended, 0, &no);
}

uint32_t
tl_edit_keep_signins(struct tl_edit *edit, int64_t age_ms)
{
	const struct tl_signins *signins = tl_edit_registry(edit)->signins;
	uint32_t count = 0;

	for (uint32_t i = 0; i < signins->count; i++) {
		struct tl_signin *signin = signins->list[i];
		int64_t used_ms = atomic_load(&signin->used_ms);

		if (used_ms == signin->stored_ms || used_ms - signin->stored_ms < age_ms)
			continue;
		if (put_signin_row(edit, signin))
			break; /* without memory: the next time */
		signin->stored_ms = used_ms;
		count++;
	}
	return count;
}

/* text as a string in text_out, which has room for bytes_max and the terminator. */
static enum tl_err
copy_text(struct tl_slice text, size_t bytes_max, char *text_out)
{
	if (text.bytes > bytes_max)
		return TL_ESTRING_TOO_LONG;
	if (text.bytes > 0 && memchr(text.data, '\0', text.bytes))
		return TL_ESTRING_CONTROL;
	if (text.bytes > 0)
		memcpy(text_out, text.data, text.bytes);
	text_out[text.bytes] = '\0';
	return TL_OK;
}

/* Brings back whoever was removed, with name and rate, and ends an invitation: it is not needed. */
static enum tl_err
activate_member(struct tl_edit *edit, uint32_t org_no, const struct tl_member *member,
	const char *email, uint32_t *member_no_out)
{
	struct tl_member active = *member;

	active.state = TL_MEMBER_ACTIVE;
	active.invitation[0] = '\0';
	active.invitation_ends_ms = 0;
	if (active.email[0] == '\0')
		active.email = email;
	return tl_edit_put_member(edit, org_no, &active, member_no_out);
}

enum tl_err
tl_edit_need_member(struct tl_edit *edit, uint32_t org_no, const uint8_t id[16],
	struct tl_slice email, int64_t now_ms, uint32_t *member_no_out)
{
	const struct tl_org *org = tl_edit_org(edit, org_no);
	const struct tl_member *member;
	struct tl_member fresh = {
		.role = TL_ROLE_MEMBER,
		.state = TL_MEMBER_ACTIVE,
		.rate_cents = -1,
		.created_ms = now_ms,
	};
	char email_text[TL_EMAIL_BYTES_MAX + 1];
	enum tl_err err;

	if (!org)
		return TL_ENOT_FOUND;
	member = tl_org_member_by_id(org, id);
	if (member && member->state == TL_MEMBER_ACTIVE &&
		(email.bytes == 0 || member->email[0] != '\0')) {
		*member_no_out = member->no;
		return TL_OK;
	}
	err = copy_text(email, TL_EMAIL_BYTES_MAX, email_text);
	if (err)
		return err;
	if (member)
		return activate_member(edit, org_no, member, email_text, member_no_out);
	memcpy(fresh.id, id, sizeof(fresh.id));
	fresh.email = email_text;
	return tl_edit_put_member(edit, org_no, &fresh, member_no_out);
}

enum tl_err
tl_edit_need_agent(struct tl_edit *edit, uint32_t org_no, uint32_t member_no, struct tl_slice type,
	int64_t now_ms, uint32_t *agent_no_out)
{
	const struct tl_org *org = tl_edit_org(edit, org_no);
	const struct tl_agent *agent;
	struct tl_agent fresh = {
		.member_no = member_no,
		.live = true,
		.created_ms = now_ms,
	};
	char type_text[TL_AGENT_TYPE_BYTES_MAX + 1];
	enum tl_err err;

	if (!org)
		return TL_ENOT_FOUND;
	agent = tl_org_agent_of(org, member_no, type);
	if (agent) {
		*agent_no_out = agent->no;
		return TL_OK;
	}
	err = copy_text(type, TL_AGENT_TYPE_BYTES_MAX, type_text);
	if (err)
		return err;
	fresh.type = type_text;
	return tl_edit_put_agent(edit, org_no, &fresh, agent_no_out);
}
