#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/wire/command_wire.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

static struct tl_slice
checked(const struct tl_buf *buf)
{
	assert_int_equal(buf->err, TL_OK);
	assert_int_equal(tl_reader_check(tl_buf_slice(buf), 4, NULL), TL_OK);
	return tl_buf_slice(buf);
}

static void
every_command_has_its_own_name(void **state)
{
	(void)state;
	for (int a = 0; a < TL_COMMAND_COUNT; a++) {
		for (int b = 0; b < a; b++)
			assert_string_not_equal(tl_command_name((enum tl_command_op)a),
				tl_command_name((enum tl_command_op)b));
	}
	assert_string_equal(tl_command_name(TL_COMMAND_ORG_CREATE), "org_create");
	assert_string_equal(tl_command_name(TL_COMMAND_DUMP), "dump");
}

static void
lists_and_orders_do_not_write(void **state)
{
	(void)state;
	assert_true(tl_command_writes(TL_COMMAND_ORG_CREATE));
	assert_true(tl_command_writes(TL_COMMAND_AGENT_DELETE));
	assert_true(tl_command_writes(TL_COMMAND_INVITE_ACCEPT));
	assert_false(tl_command_writes(TL_COMMAND_ORG_LIST));
	assert_false(tl_command_writes(TL_COMMAND_AGENT_REVEAL));
	assert_false(tl_command_writes(TL_COMMAND_KEY_RESOLVE));
	assert_false(tl_command_writes(TL_COMMAND_REBUILD));
}

static void
every_name_is_read_back(void **state)
{
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	for (int op = 0; op < TL_COMMAND_COUNT; op++) {
		struct tl_pack_open map;
		struct tl_command command;

		tl_buf_reset(&buf);
		map = tl_pack_open_map(&buf);
		tl_pack_key_int(&buf, &map, "v", 1);
		tl_pack_key_str(&buf, &map, "token", "tally_pat_x");
		tl_pack_key_str(&buf, &map, "op", tl_command_name((enum tl_command_op)op));
		tl_pack_key_str(&buf, &map, "org", "Acme");
		tl_pack_key_str(&buf, &map, "name", "first");
		tl_pack_close(&buf, &map);

		assert_true(tl_command_is(checked(&buf)));
		assert_int_equal(tl_command_read(checked(&buf), &command, NULL), TL_OK);
		assert_int_equal(command.op, op);
		assert_true(tl_slice_eq(command.token, tl_slice_str("tally_pat_x")));
		assert_true(tl_slice_eq(command.org, tl_slice_str("Acme")));
		assert_true(tl_slice_eq(
			tl_reader_find_str(command.map, "name"), tl_slice_str("first")));
	}
	tl_buf_fini(&buf);
}

static void
a_command_needs_neither_token_nor_org(void **state)
{
	struct tl_command command;
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_pack_map(&buf, 3);
	tl_pack_str(&buf, "op");
	tl_pack_str(&buf, "ping");
	tl_pack_str(&buf, "v");
	tl_pack_int(&buf, 1);
	tl_pack_str(&buf, "token");
	tl_pack_nil(&buf);
	assert_int_equal(tl_command_read(checked(&buf), &command, NULL), TL_OK);
	assert_int_equal(command.op, TL_COMMAND_PING);
	assert_int_equal(command.token.bytes, 0);
	assert_int_equal(command.org.bytes, 0);
	tl_buf_fini(&buf);
}

static void
a_map_without_op_is_no_command(void **state)
{
	struct tl_command command;
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_pack_map(&buf, 2);
	tl_pack_str(&buf, "v");
	tl_pack_int(&buf, 1);
	tl_pack_str(&buf, "events");
	tl_pack_array(&buf, 0);
	assert_false(tl_command_is(checked(&buf)));
	assert_int_equal(tl_command_read(checked(&buf), &command, NULL), TL_EFIELD_MISSING);

	tl_buf_reset(&buf);
	tl_pack_array(&buf, 1);
	tl_pack_str(&buf, "op");
	assert_false(tl_command_is(checked(&buf)));
	tl_buf_fini(&buf);
}

/* One value of each wrong kind: 's' text, 'i' number, '-' not there. */
static const struct {
	const char *name;
	char v_kind;
	int v;
	char op_kind;
	const char *op;
	char token_kind;
	enum tl_err err;
} refusals[] = {
	{"no version", '-', 0, 's', "ping", 's', TL_EVERSION_UNSUPPORTED},
	{"a later version", 'i', 2, 's', "ping", 's', TL_EVERSION_UNSUPPORTED},
	{"a version as text", 's', 0, 's', "ping", 's', TL_EVERSION_UNSUPPORTED},
	{"a command nobody knows", 'i', 1, 's', "pong", 's', TL_ENOT_FOUND},
	{"a prefix of a command", 'i', 1, 's', "pin", 's', TL_ENOT_FOUND},
	{"an empty command", 'i', 1, 's', "", 's', TL_EFIELD_MISSING},
	{"a number as command", 'i', 1, 'i', NULL, 's', TL_EFIELD_TYPE},
	{"a number as token", 'i', 1, 's', "ping", 'i', TL_EFIELD_TYPE},
};

static void
put(struct tl_buf *buf, struct tl_pack_open *map, const char *key, char kind, const char *text,
	int number)
{
	if (kind == 's')
		tl_pack_key_str(buf, map, key, text);
	else if (kind == 'i')
		tl_pack_key_int(buf, map, key, number);
}

static void
wrong_heads_are_refused(void **state)
{
	struct tl_command command = {.op = TL_COMMAND_DUMP};
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct tl_pack_open map;
		struct tl_why why = {""};
		enum tl_err err;

		tl_buf_reset(&buf);
		map = tl_pack_open_map(&buf);
		put(&buf, &map, "v", refusals[i].v_kind, "1", refusals[i].v);
		put(&buf, &map, "op", refusals[i].op_kind, refusals[i].op, 7);
		put(&buf, &map, "token", refusals[i].token_kind, "t", 7);
		tl_pack_close(&buf, &map);
		err = tl_command_read(checked(&buf), &command, &why);
		if (err != refusals[i].err)
			fail_msg("%s: %s", refusals[i].name, tl_err_name(err));
		assert_true(why.text[0] != '\0');
		assert_int_equal(command.op, TL_COMMAND_DUMP);
	}
	tl_buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_has_its_own_name),
		cmocka_unit_test(lists_and_orders_do_not_write),
		cmocka_unit_test(every_name_is_read_back),
		cmocka_unit_test(a_command_needs_neither_token_nor_org),
		cmocka_unit_test(a_map_without_op_is_no_command),
		cmocka_unit_test(wrong_heads_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
