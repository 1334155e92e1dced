/* The head of a command: a map with an op is a command and no batch, and its texts are its own. */
#include "schema/model/limits.h"
#include "schema/wire/command_wire.h"
#include "schema/wire/reader.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice map = tl_slice_of(data, bytes);
	struct tl_why why = {""};
	struct tl_command command;
	enum tl_err err;

	if (tl_reader_check(map, TL_WIRE_DEPTH_MAX, NULL))
		return 0;
	err = tl_command_read(map, &command, &why);
	if (err) {
		assert(why.text[0] != '\0' && tl_utf8_valid(tl_slice_str(why.text)));
		return 0;
	}
	assert(tl_command_is(map) && command.op < TL_COMMAND_COUNT);
	assert(tl_slice_eq(
		tl_reader_find_str(map, "op"), tl_slice_str(tl_command_name(command.op))));
	assert(command.token.bytes < bytes && command.org.bytes < bytes);
	return 0;
}
