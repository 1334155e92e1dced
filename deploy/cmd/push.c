/* tally push: events from a file as a JSON array, NDJSON, or one msgpack batch. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "schema/base/file.h"
#include "schema/model/limits.h"
#include "schema/wire/json.h"

#define ASK_TIMEOUT_MS 30000
#define FILE_BYTES_MAX (1u << 30)

struct push {
	const struct cli *cli;
	struct tl_buf events; /* encoded events of the batch being filled */
	uint32_t event_count;
	uint64_t line_no; /* of the input, for errors */
	int64_t accepted, duplicate, replaced, rejected;
	int64_t sent;
};

static const struct tl_conf_setting settings[] = {CLI_SETTINGS};

static void
show_errors(struct tl_slice reply, int64_t first_event)
{
	struct tl_reader errors;
	uint32_t count = tl_reader_find(reply, "errors", &errors) ? tl_read_array(&errors) : 0;

	for (uint32_t i = 0; i < count; i++) {
		struct tl_slice error = tl_read_any(&errors);
		struct tl_slice code = tl_reader_find_str(error, "code");
		struct tl_slice field = tl_reader_find_str(error, "field");
		struct tl_slice got = tl_reader_find_str(error, "got");

		cli_error("event %" PRId64 ": %.*s%s%.*s%s%.*s",
			first_event + tl_reader_find_int(error, "i", 0), (int)code.bytes,
			(const char *)code.data, field.bytes > 0 ? " " : "", (int)field.bytes,
			(const char *)field.data, got.bytes > 0 ? ", got " : "", (int)got.bytes,
			(const char *)got.data);
	}
}

/* Send one frame; counts and errors go into push. */
static int
send_frame(struct push *push, const struct tl_buf *frame, int64_t event_count)
{
	struct tl_buf reply;
	struct tl_slice map;
	int code;

	tl_buf_init(&reply, 0);
	code = cli_ask(push->cli, CLI_DOOR_INGEST, frame, ASK_TIMEOUT_MS, &reply);
	if (code == CLI_OK) {
		map = tl_buf_slice(&reply);
		push->accepted += tl_reader_find_int(map, "accepted", 0);
		push->duplicate += tl_reader_find_int(map, "duplicate", 0);
		push->replaced += tl_reader_find_int(map, "replaced", 0);
		push->rejected += tl_reader_find_int(map, "rejected", 0);
		show_errors(map, push->sent);
		push->sent += event_count;
	}
	tl_buf_fini(&reply);
	return code;
}

static int
send_batch(struct push *push)
{
	struct tl_buf frame;
	int code;

	if (push->event_count == 0)
		return CLI_OK;
	tl_buf_init(&frame, TL_TRANSPORT_BYTES_MAX);
	tl_pack_map(&frame, 3);
	tl_pack_str(&frame, "v");
	tl_pack_int(&frame, TL_PROTOCOL_VERSION);
	tl_pack_str(&frame, "token");
	tl_pack_str(&frame, push->cli->token);
	tl_pack_str(&frame, "events");
	tl_pack_array(&frame, push->event_count);
	tl_buf_put_slice(&frame, tl_buf_slice(&push->events));
	code = send_frame(push, &frame, push->event_count);
	tl_buf_fini(&frame);
	tl_buf_reset(&push->events);
	push->event_count = 0;
	return code;
}

static int
add_event(struct push *push, const struct tl_json_value *event)
{
	size_t bytes_before = push->events.bytes;
	int code = CLI_OK;

	if (tl_json_to_msgpack(event, &push->events)) {
		cli_error("line %" PRIu64 ": the event cannot be encoded", push->line_no);
		return CLI_USAGE;
	}
	push->event_count++;
	if (push->event_count == TL_BATCH_EVENTS_MAX ||
		push->events.bytes + (push->events.bytes - bytes_before) >
			TL_FRAME_BYTES_MAX - 4096)
		code = send_batch(push);
	return code;
}

static int
push_document(struct push *push, struct tl_slice text)
{
	struct tl_json *json = NULL;
	struct tl_why why = {0};
	const struct tl_json_value *root;
	int code = CLI_OK;

	if (tl_json_parse(text, &json, &why)) {
		cli_error("line %" PRIu64 ": %s", push->line_no, why.text);
		return CLI_USAGE;
	}
	root = tl_json_root(json);
	if (!tl_json_is_array(root))
		code = add_event(push, root);
	for (size_t i = 0; tl_json_is_array(root) && i < tl_json_count(root) && code == CLI_OK; i++)
		code = add_event(push, tl_json_at(root, i));
	tl_json_free(json);
	return code;
}

static int
push_lines(struct push *push, struct tl_slice text)
{
	int code = CLI_OK;

	while (text.bytes > 0 && code == CLI_OK) {
		const uint8_t *newline = memchr(text.data, '\n', text.bytes);
		size_t bytes = newline != NULL ? (size_t)(newline - text.data) : text.bytes;
		struct tl_slice line = tl_slice_of(text.data, bytes);

		push->line_no++;
		if (line.bytes > 0 && line.data[line.bytes - 1] == '\r')
			line.bytes--;
		if (line.bytes > 0)
			code = push_document(push, line);
		bytes += newline != NULL ? 1 : 0;
		text = tl_slice_of(text.data + bytes, text.bytes - bytes);
	}
	return code;
}

static bool
read_input(const char *path, struct tl_buf *input)
{
	struct tl_why why = {0};

	if (strcmp(path, "-") != 0) {
		if (tl_file_read(path, input, &why) == TL_OK)
			return true;
		cli_error("%s", why.text);
		return false;
	}
	for (;;) {
		uint8_t *at = tl_buf_reserve(input, 65536);
		ssize_t got = at != NULL ? read(STDIN_FILENO, at, 65536) : -1;

		if (got == 0)
			return true;
		if (got < 0) {
			cli_error("standard input cannot be read");
			return false;
		}
		tl_buf_advance(input, (size_t)got);
	}
}

/* A msgpack map begins 0x80..0x8f, 0xde or 0xdf; no JSON text does. */
static bool
is_msgpack(struct tl_slice input)
{
	return input.bytes > 0 && ((input.data[0] & 0xf0) == 0x80 || input.data[0] >= 0xde);
}

static bool
is_json_array(struct tl_slice input)
{
	size_t i = 0;

	while (i < input.bytes && (input.data[i] == ' ' || input.data[i] == '\n' ||
					  input.data[i] == '\t' || input.data[i] == '\r'))
		i++;
	return i < input.bytes && input.data[i] == '[';
}

int
cmd_push(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "tally push",
		.summary =
			"Push usage events: a JSON array, one JSON object a line, or one msgpack "
			"batch. Wants a gateway token. Exit 1 when an event was rejected.",
		.operands = "FILE|-",
		.settings = settings,
		.setting_count = sizeof(settings) / sizeof(settings[0])};
	struct cli cli;
	struct push push = {.cli = &cli, .line_no = 0};
	struct tl_buf input;
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &cli, &operands, &code))
		return code;
	if (operands != 1) {
		cli_error("push: name one file, or - for standard input");
		return CLI_USAGE;
	}
	if (cli.token[0] == '\0') {
		cli_error("push: a gateway token is needed: --token or $TALLY_TOKEN");
		return CLI_USAGE;
	}
	tl_buf_init(&input, FILE_BYTES_MAX);
	tl_buf_init(&push.events, TL_TRANSPORT_BYTES_MAX);
	code = read_input(argv[1], &input) ? CLI_OK : CLI_USAGE;
	if (code == CLI_OK && is_msgpack(tl_buf_slice(&input)))
		code = send_frame(&push, &input, 0);
	else if (code == CLI_OK && is_json_array(tl_buf_slice(&input))) {
		push.line_no = 1;
		code = push_document(&push, tl_buf_slice(&input));
	} else if (code == CLI_OK)
		code = push_lines(&push, tl_buf_slice(&input));
	if (code == CLI_OK)
		code = send_batch(&push);
	printf("accepted=%" PRId64 " duplicate=%" PRId64 " replaced=%" PRId64 " rejected=%" PRId64
	       "\n",
		push.accepted, push.duplicate, push.replaced, push.rejected);
	if (code == CLI_OK && push.rejected > 0)
		code = CLI_REFUSED;
	tl_buf_fini(&input);
	tl_buf_fini(&push.events);
	return code;
}
