#include "schema/wire/command_wire.h"

#include <assert.h>

#include "schema/model/limits.h"
#include "schema/wire/reader.h"

static const struct {
	const char *name;
	bool writes;
} commands[] = {
#define X(symbol, name, writes) [symbol] = {name, writes},
	TL_COMMAND_LIST(X)
#undef X
};

const char *
tl_command_name(enum tl_command_op op)
{
	assert(op < TL_COMMAND_COUNT);
	return commands[op].name;
}

bool
tl_command_writes(enum tl_command_op op)
{
	assert(op < TL_COMMAND_COUNT);
	return commands[op].writes;
}

bool
tl_command_is(struct tl_slice checked_map)
{
	struct tl_reader value;

	return tl_reader_find(checked_map, "op", &value);
}

/* A text that may be absent or nil; another type is an error, never an absence. */
static enum tl_err
read_text(struct tl_slice map, const char *key, struct tl_slice *text_out, struct tl_why *why)
{
	struct tl_reader value;

	*text_out = tl_slice_of(NULL, 0);
	if (!tl_reader_find(map, key, &value) || tl_reader_peek(&value) == TL_WIRE_NIL)
		return TL_OK;
	if (tl_reader_peek(&value) != TL_WIRE_STR)
		return tl_fail(why, TL_EFIELD_TYPE, "%s: must be a text", key);
	*text_out = tl_read_str(&value);
	return TL_OK;
}

static enum tl_err
read_version(struct tl_slice map, struct tl_why *why)
{
	struct tl_reader value;
	int64_t version = 0;

	if (tl_reader_find(map, "v", &value) && tl_reader_peek(&value) == TL_WIRE_INT)
		version = tl_read_int(&value);
	if (version != TL_PROTOCOL_VERSION)
		return tl_fail(why, TL_EVERSION_UNSUPPORTED, "v: must be %d", TL_PROTOCOL_VERSION);
	return TL_OK;
}

static enum tl_err
read_op(struct tl_slice map, enum tl_command_op *op_out, struct tl_why *why)
{
	struct tl_slice name;
	enum tl_err err;

	err = read_text(map, "op", &name, why);
	if (err)
		return err;
	if (name.bytes == 0)
		return tl_fail(why, TL_EFIELD_MISSING, "op: is required");
	for (size_t i = 0; i < TL_COMMAND_COUNT; i++) {
		if (tl_slice_eq(name, tl_slice_str(commands[i].name))) {
			*op_out = (enum tl_command_op)i;
			return TL_OK;
		}
	}
	return tl_fail(why, TL_ENOT_FOUND, "op: no such command");
}

enum tl_err
tl_command_read(struct tl_slice checked_map, struct tl_command *command_out, struct tl_why *why)
{
	struct tl_command command = {.map = checked_map};
	enum tl_err err;

	err = read_version(checked_map, why);
	if (!err)
		err = read_op(checked_map, &command.op, why);
	if (!err)
		err = read_text(checked_map, "token", &command.token, why);
	if (!err)
		err = read_text(checked_map, "org", &command.org, why);
	if (err)
		return err;
	*command_out = command;
	return TL_OK;
}
