/*
 * The limits are the server's. What it would refuse is refused here, where the caller can still see
 * which event it was; what it would take without the tag (a repository it cannot read) goes
 * through.
 */
#include "ingest/client/push_check.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "schema/model/limits.h"
#include "schema/model/ref.h"

#define REPO_TEXT_BYTES_MAX \
	1024u /* any URL of a repository, before it is brought to one spelling */
#define MEMBER_DIGITS 32u

_Static_assert(TALLY_UNKNOWN == TL_WIRE_ABSENT, "an absent number is the same on both sides");

struct text_field {
	const char *name;
	size_t from; /* const char * in struct tally_event */
	size_t to;   /* struct tl_slice in struct tl_wire_event */
	size_t bytes_max;
};

#define TEXT(name, to, bytes_max)                                                              \
	{                                                                                      \
#name, offsetof(struct tally_event, name), offsetof(struct tl_wire_event, to), \
			bytes_max                                                              \
	}

static const struct text_field text_fields[] = {
	TEXT(key, key, TL_NAME_BYTES_MAX),
	TEXT(email, email, TL_EMAIL_BYTES_MAX),
	TEXT(member, member_hex, MEMBER_DIGITS),
	TEXT(agent, agent, TL_AGENT_TYPE_BYTES_MAX),
	TEXT(session, session, TL_SESSION_BYTES_MAX),
	TEXT(provider, provider, TL_PROVIDER_BYTES_MAX),
	TEXT(model, model, TL_MODEL_BYTES_MAX),
	TEXT(repo, repo, REPO_TEXT_BYTES_MAX),
	TEXT(branch, branch, TL_BRANCH_BYTES_MAX),
	TEXT(commit, commit, TL_COMMIT_BYTES_MAX),
};

struct number_field {
	const char *name;
	size_t from; /* int64_t in struct tally_event */
	size_t to;   /* int64_t in struct tl_wire_event */
	int64_t max; /* 0 is the least of all */
	bool may_be_unknown;
};

#define NUMBER(name, max, may_be_unknown)                                                        \
	{                                                                                        \
#name, offsetof(struct tally_event, name), offsetof(struct tl_wire_event, name), \
			max, may_be_unknown                                                      \
	}

static const struct number_field number_fields[] = {
	NUMBER(input_tokens, TL_TOKENS_MAX, false),
	NUMBER(cache_read_tokens, TL_TOKENS_MAX, false),
	NUMBER(cache_write_tokens, TL_TOKENS_MAX, false),
	NUMBER(cache_write_1h_tokens, TL_TOKENS_MAX, false),
	NUMBER(output_tokens, TL_TOKENS_MAX, false),
	NUMBER(reasoning_tokens, TL_TOKENS_MAX, false),
	NUMBER(cost_nusd, TL_COST_NUSD_MAX, true),
	NUMBER(saved_tokens, TL_TOKENS_MAX, false),
	NUMBER(saved_nusd, TL_COST_NUSD_MAX, false),
	NUMBER(duration_ms, TL_DURATION_MS_MAX, true),
	NUMBER(pr, TL_PR_MAX, false),
	NUMBER(rev, TL_REV_MAX, false),
};

static enum tl_err
missing(const char *name, struct tl_why *why)
{
	return tl_fail(why, TL_EFIELD_MISSING, "%s: missing", name);
}

/* NULL is an empty slice. */
static enum tl_err
text_read(const char *name, const char *text, size_t bytes_max, struct tl_slice *text_out,
	struct tl_why *why)
{
	struct tl_slice slice = tl_slice_of(NULL, 0);

	if (text != NULL)
		slice = tl_slice_of(text, strnlen(text, bytes_max + 1));
	if (slice.bytes > bytes_max)
		return tl_fail(why, TL_ESTRING_TOO_LONG, "%s: longer than the limit of %zu bytes",
			name, bytes_max);
	for (size_t i = 0; i < slice.bytes; i++) {
		if (slice.data[i] < 0x20 || slice.data[i] == 0x7f)
			return tl_fail(why, TL_ESTRING_CONTROL,
				"%s: control character 0x%02x at byte %zu", name, slice.data[i], i);
	}
	if (!tl_utf8_valid(slice))
		return tl_fail(why, TL_ESTRING_NOT_UTF8, "%s: not UTF-8", name);
	*text_out = slice;
	return TL_OK;
}

static enum tl_err
number_check(const char *name, int64_t number, int64_t min, int64_t max, struct tl_why *why)
{
	if (number == TALLY_UNKNOWN)
		return tl_fail(why, TL_EFIELD_TYPE, "%s: cannot be unknown", name);
	if (number < min)
		return tl_fail(why, TL_EFIELD_TYPE, "%s: %" PRId64 ", the least is %" PRId64, name,
			number, min);
	if (number > max)
		return tl_fail(why, TL_EFIELD_TYPE, "%s: %" PRId64 ", the limit is %" PRId64, name,
			number, max);
	return TL_OK;
}

/* The id as the server would hash it: 16 bytes are shorter to send and done once. */
static enum tl_err
id_read(const char *id, uint8_t id_out[16], struct tl_why *why)
{
	size_t bytes = id != NULL ? strnlen(id, TL_ID_TEXT_BYTES_MAX + 1) : 0;

	if (bytes == 0)
		return missing("id", why);
	if (bytes < TL_ID_TEXT_BYTES_MIN || bytes > TL_ID_TEXT_BYTES_MAX)
		return tl_fail(why, TL_EID_INVALID, "id: %s than the limit of %u bytes",
			bytes > TL_ID_TEXT_BYTES_MAX ? "longer" : "shorter",
			bytes > TL_ID_TEXT_BYTES_MAX ? TL_ID_TEXT_BYTES_MAX : TL_ID_TEXT_BYTES_MIN);
	if (!tl_event_id_from_text(tl_slice_of(id, bytes), id_out))
		return tl_fail(why, TL_EID_INVALID, "id: '%s' cannot identify an event", id);
	return TL_OK;
}

static enum tl_err
time_check(int64_t ts_ms, struct tl_why *why)
{
	if (ts_ms == 0)
		return missing("ts_ms", why);
	if (ts_ms > 0 && ts_ms < TL_TIME_SECONDS_HINT)
		return tl_fail(why, TL_ETIME_INVALID,
			"ts_ms: %" PRId64 ", the least is %lld (seconds? give milliseconds)", ts_ms,
			TL_TIME_SECONDS_HINT);
	return number_check("ts_ms", ts_ms, TL_TIME_SECONDS_HINT, TL_TIME_MS_MAX, why);
}

static enum tl_err
texts_read(const struct tally_event *event, struct tl_wire_event *wire, struct tl_why *why)
{
	for (size_t i = 0; i < sizeof(text_fields) / sizeof(text_fields[0]); i++) {
		const struct text_field *field = &text_fields[i];
		struct tl_slice slice;
		const char *text;
		enum tl_err err;

		memcpy(&text, (const char *)event + field->from, sizeof(text));
		err = text_read(field->name, text, field->bytes_max, &slice, why);
		if (err)
			return err;
		memcpy((char *)wire + field->to, &slice, sizeof(slice));
	}
	return TL_OK;
}

static enum tl_err
numbers_read(const struct tally_event *event, struct tl_wire_event *wire, struct tl_why *why)
{
	for (size_t i = 0; i < sizeof(number_fields) / sizeof(number_fields[0]); i++) {
		const struct number_field *field = &number_fields[i];
		int64_t number;

		memcpy(&number, (const char *)event + field->from, sizeof(number));
		if (!field->may_be_unknown || number != TALLY_UNKNOWN) {
			enum tl_err err = number_check(field->name, number, 0, field->max, why);

			if (err)
				return err;
		}
		memcpy((char *)wire + field->to, &number, sizeof(number));
	}
	return TL_OK;
}

static enum tl_err
part_check(
	const char *name, int64_t part, const char *whole_name, int64_t whole, struct tl_why *why)
{
	if (part <= whole)
		return TL_OK;
	return tl_fail(why, TL_ETOKENS_INCONSISTENT,
		"%s: %" PRId64 ", more than the %" PRId64 " of %s", name, part, whole, whole_name);
}

/* What can be said of the values only together, or only once they are text and numbers. */
static enum tl_err
whole_check(const struct tl_wire_event *wire, struct tl_why *why)
{
	char email[TL_EMAIL_BYTES_MAX + 1];
	uint8_t member[MEMBER_DIGITS / 2];
	enum tl_err err;

	if (wire->model.bytes == 0)
		return missing("model", why);
	if (wire->email.bytes > 0 && !tl_email_normalise(wire->email, email))
		return tl_fail(why, TL_EFIELD_TYPE, "email: not an address");
	if (wire->member_hex.bytes > 0 && !tl_unhex(wire->member_hex, member, sizeof(member)))
		return tl_fail(why, TL_EFIELD_TYPE, "member: not %u hex digits", MEMBER_DIGITS);
	err = part_check("reasoning_tokens", wire->reasoning_tokens, "output_tokens",
		wire->output_tokens, why);
	if (err)
		return err;
	return part_check("cache_write_1h_tokens", wire->cache_write_1h_tokens,
		"cache_write_tokens", wire->cache_write_tokens, why);
}

enum tl_err
push_check_event(
	const struct tally_event *event, struct tl_wire_event *event_out, struct tl_why *why)
{
	struct tl_wire_event wire = {.kind = TL_KIND_REQUEST, .ts_ms = event->ts_ms};
	enum tl_err err = id_read(event->id, wire.id, why);

	if (!err)
		err = time_check(event->ts_ms, why);
	if (!err)
		err = texts_read(event, &wire, why);
	if (!err)
		err = numbers_read(event, &wire, why);
	if (!err)
		err = number_check("status", event->status, 0, TL_STATUS_MAX, why);
	if (!err)
		err = whole_check(&wire, why);
	if (err)
		return err;
	wire.status = event->status != 0 ? event->status : 200;
	if (wire.duration_ms == 0)
		wire.duration_ms = TL_WIRE_ABSENT;
	wire.is_plan = event->is_plan != 0;
	*event_out = wire;
	return TL_OK;
}

/* A value that says nothing is refused for good by the server: here the caller still knows it. */
static enum tl_err
value_check(enum tl_link_op op, struct tl_slice value, struct tl_why *why)
{
	char repo[TL_REPO_BYTES_MAX + 1];
	char commit[TL_COMMIT_BYTES_MAX + 1];
	struct tl_pr_ref pr;

	switch (op) {
	case TL_LINK_SET_REPO:
		if (tl_repo_normalise(value, repo) != TL_OK)
			return tl_fail(why, TL_EREPO_INVALID, "value: not a repository");
		break;
	case TL_LINK_ADD_PR:
		if (tl_pr_parse(value, &pr) != TL_OK)
			return tl_fail(why, TL_EPR_INVALID, "value: not a pull request");
		break;
	case TL_LINK_ADD_COMMIT:
		if (tl_commit_normalise(value, commit) != TL_OK)
			return tl_fail(why, TL_ECOMMIT_INVALID, "value: not a commit id");
		break;
	case TL_LINK_SET_NAME:
	case TL_LINK_NONE:
		break;
	}
	return TL_OK;
}

static enum tl_link_op
op_of(enum tally_link link)
{
	switch (link) {
	case TALLY_SET_REPO:
		return TL_LINK_SET_REPO;
	case TALLY_ADD_PR:
		return TL_LINK_ADD_PR;
	case TALLY_ADD_COMMIT:
		return TL_LINK_ADD_COMMIT;
	case TALLY_SET_NAME:
		return TL_LINK_SET_NAME;
	}
	return TL_LINK_NONE; /* a caller may pass any number */
}

enum tl_err
push_check_link(const char *id, int64_t ts_ms, const char *session, enum tally_link link,
	const char *value, struct tl_wire_event *event_out, struct tl_why *why)
{
	struct tl_wire_event wire = {.kind = TL_KIND_LINK, .ts_ms = ts_ms, .link_op = op_of(link)};
	size_t value_bytes_max =
		link == TALLY_SET_NAME ? TL_NAME_BYTES_MAX : TL_LINK_VALUE_BYTES_MAX;
	enum tl_err err = id_read(id, wire.id, why);

	if (!err)
		err = time_check(ts_ms, why);
	if (!err)
		err = text_read("session", session, TL_SESSION_BYTES_MAX, &wire.session, why);
	if (!err && wire.session.bytes == 0)
		err = missing("session", why);
	if (!err && wire.link_op == TL_LINK_NONE)
		err = tl_fail(
			why, TL_EFIELD_TYPE, "link: %d is none of enum tally_link", (int)link);
	if (!err)
		err = text_read("value", value, value_bytes_max, &wire.value, why);
	if (!err && wire.value.bytes == 0)
		err = missing("value", why);
	if (!err)
		err = value_check(wire.link_op, wire.value, why);
	if (!err)
		*event_out = wire;
	return err;
}

enum tl_err
push_check_text(const char *name, const char *text, size_t bytes_max, struct tl_why *why)
{
	struct tl_slice slice;

	if (text == NULL || text[0] == '\0')
		return missing(name, why);
	return text_read(name, text, bytes_max, &slice, why);
}
