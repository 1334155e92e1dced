#include "deploy/offline.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "deploy/accept.h"
#include "deploy/dump.h"
#include "deploy/exit_code.h"
#include "deploy/opening.h"
#include "rollup/audit.h"
#include "rollup/rollup.h"
#include "schema/base/file.h"
#include "schema/wire/reader.h"

#define DUMP_PAGE_ROWS 200

static int
fail(enum tl_err err, const struct tl_why *why)
{
	fprintf(stderr, "tallyd: %s (%s)\n", why->text[0] != '\0' ? why->text : tl_err_text(err),
		tl_err_name(err));
	return exit_code_of(err);
}

static enum tl_err
verify(struct tl_store *store, bool *is_equal_out, struct tl_why *why)
{
	struct audit_report report;
	struct tl_view *view;
	enum tl_err err = rollup_publish_as_found(store, why);

	if (err)
		return err;
	view = tl_view_pin(store);
	err = audit_run(store, view, NULL, &report, why);
	tl_view_unpin(view);
	if (err)
		return err;
	printf("verify: %" PRIu64 " groups, %" PRIu64 " blocks, %" PRIu64 " events, %" PRIu64
	       " pages, %" PRIu64 " sessions, %" PRIu64 " lives\nverify: %" PRIu64 " differences\n",
		report.groups, report.blocks, report.events, report.pages, report.sessions,
		report.lives, report.differences);
	if (report.differences > 0)
		printf("first: %s\n", report.first_difference);
	*is_equal_out = report.differences == 0;
	return TL_OK;
}

static enum tl_err
rebuild(struct tl_store *store, struct tl_why *why)
{
	struct rollup *rollup = NULL;
	enum tl_err err = rollup_new(store, &rollup, why);

	if (!err)
		err = rollup_rebuild(rollup, why);
	rollup_free(rollup);
	return err;
}

static enum tl_err
dump_page(struct tl_store *store, const struct dump_request *request, struct tl_buf *after,
	struct tl_why *why)
{
	struct tl_buf reply;
	struct tl_reader rows;
	uint32_t count;
	enum tl_err err;

	tl_buf_init(&reply, 0);
	err = dump_rows(store, NULL, request, &reply, why);
	if (!err) {
		count = tl_reader_find(tl_buf_slice(&reply), "rows", &rows) ? tl_read_array(&rows)
									    : 0;
		for (uint32_t i = 0; i < count; i++) {
			struct tl_slice row = tl_read_any(&rows);
			struct tl_slice text = tl_reader_find_str(row, "text");
			struct tl_slice value = tl_reader_find_str(row, "value");

			printf("%.*s\n", (int)text.bytes, (const char *)text.data);
			if (value.bytes > 0)
				printf("%.*s\n", (int)value.bytes, (const char *)value.data);
		}
		tl_buf_reset(after);
		tl_buf_put_slice(after, tl_reader_find_str(tl_buf_slice(&reply), "after"));
	}
	tl_buf_fini(&reply);
	return err;
}

static enum tl_err
dump(struct tl_store *store, const char *family, const char *mark_path, struct tl_why *why)
{
	struct dump_request request = {.family = tl_slice_str(family),
		.mark_path = mark_path,
		.row_count_max = DUMP_PAGE_ROWS};
	struct tl_roster *roster = NULL;
	struct tl_buf after;
	enum tl_err err = tl_roster_open(store, &roster, why);

	if (err)
		return err;
	request.registry = tl_registry_pin(roster);
	tl_buf_init(&after, 0);
	do {
		/* The page's own buffer is reused for its last key: copy it for the next. */
		struct tl_buf at;

		tl_buf_init(&at, 0);
		tl_buf_put_slice(&at, tl_buf_slice(&after));
		request.after = tl_buf_slice(&at);
		err = dump_page(store, &request, &after, why);
		tl_buf_fini(&at);
	} while (!err && after.bytes > 0);
	tl_buf_fini(&after);
	tl_registry_unpin(request.registry);
	tl_roster_free(roster);
	return err;
}

/* Neither a recount nor a rebuild may pass over data that is missing. */
static enum tl_err
check_mark(const char *data_dir, const char *mark_path, struct tl_why *why)
{
	struct tl_store_options options = {.dir = data_dir, .read_only = true};
	struct tl_highwater_mark now;
	struct tl_store *store = NULL;
	enum tl_err err = tl_store_open(&options, &store, why);

	if (!err)
		err = opening_check_mark(store, mark_path, &now, why);
	tl_store_close(store);
	return err;
}

static enum tl_err
lock(const char *data_dir, struct tl_why *why)
{
	char path[PATH_MAX];
	int fd; /* held until the process ends */

	snprintf(path, sizeof(path), "%s/lock", data_dir);
	return tl_file_lock(path, &fd, why);
}

/* What writes: alone in the directory. */
static enum tl_err
run_writing(const char *data_dir, const char *mark_path, const char *verb, const char *operand,
	struct tl_why *why)
{
	struct tl_store_options options = {.dir = data_dir};
	struct tl_store *store = NULL;
	enum tl_err err = lock(data_dir, why);

	if (err)
		return err;
	if (strcmp(verb, "accept-loss") == 0)
		return accept_loss(data_dir, mark_path, operand, why);
	err = check_mark(data_dir, mark_path, why);
	if (!err)
		err = tl_store_open(&options, &store, why);
	if (!err)
		err = rebuild(store, why);
	tl_store_close(store);
	if (!err)
		puts("rebuilt");
	return err;
}

static enum tl_err
run_reading(const char *data_dir, const char *mark_path, const char *verb, const char *operand,
	bool *is_equal_out, struct tl_why *why)
{
	struct tl_store_options options = {.dir = data_dir, .read_only = true};
	bool is_dump = strcmp(verb, "dump") == 0;
	struct tl_store *store = NULL;
	enum tl_err err = is_dump ? TL_OK : check_mark(data_dir, mark_path, why);

	if (!err)
		err = tl_store_open(&options, &store, why);
	if (!err && is_dump)
		err = dump(store, operand, mark_path, why);
	else if (!err)
		err = verify(store, is_equal_out, why);
	tl_store_close(store);
	return err;
}

int
offline_run(const char *data_dir, const char *mark_path, int operand_count, char **operands)
{
	const char *verb = operands[0];
	const char *operand = operand_count > 1 ? operands[1] : "";
	bool is_equal = true;
	struct tl_why why = {0};
	enum tl_err err;

	if (strcmp(verb, "rebuild") == 0 || strcmp(verb, "accept-loss") == 0) {
		err = run_writing(data_dir, mark_path, verb, operand, &why);
	} else if (strcmp(verb, "verify") == 0 || strcmp(verb, "dump") == 0) {
		err = run_reading(data_dir, mark_path, verb, operand, &is_equal, &why);
	} else {
		fprintf(stderr, "tallyd: '%s': verify, rebuild, dump FAMILY or accept-loss HAVE\n",
			verb);
		return EXIT_CODE_USAGE;
	}
	if (err)
		return fail(err, &why);
	return is_equal ? EXIT_CODE_OK : EXIT_CODE_DATA;
}
