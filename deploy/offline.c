#include "deploy/offline.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/accept.h"
#include "deploy/dump.h"
#include "deploy/exit_code.h"
#include "deploy/opening.h"
#include "rollup/audit.h"
#include "rollup/rollup.h"
#include "rollup/seal.h"
#include "schema/base/clock.h"
#include "schema/base/file.h"
#include "schema/model/bucket.h"
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
	if (!err)
		puts("rebuilt");
	return err;
}

/* The days that have ended, oldest first; the caller frees the list. */
static enum tl_err
list_ended(struct tl_store *store, int64_t **day_ms_out, size_t *count_out)
{
	int64_t today_ms = tl_bucket_floor(TL_SPAN_1D, tl_clock_wall_ms(tl_clock_system()));
	size_t count = tl_days_list(store, NULL, 0);
	int64_t *day_ms = calloc(count + 1, sizeof(*day_ms));

	if (day_ms == NULL)
		return TL_ENOMEM;
	count = tl_days_list(store, day_ms, count);
	while (count > 0 && day_ms[count - 1] >= today_ms)
		count--;
	*day_ms_out = day_ms;
	*count_out = count;
	return TL_OK;
}

static void
compact_days(struct tl_store *store, const int64_t *day_ms, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct tl_day *day = tl_day_pin(store, day_ms[i]);

		tl_day_compact(store, day);
		tl_day_unpin(day);
	}
}

static enum tl_err
seal_days(struct tl_store *store, const int64_t *day_ms, size_t count, struct seal *seal,
	struct tl_why *why)
{
	struct tl_view *view = tl_view_pin(store);
	uint64_t group_no_max = tl_view_group_no(view);
	struct seal_counts counts = {.runs = 0};
	enum tl_err err = TL_OK;

	tl_view_unpin(view);
	for (size_t i = 0; i < count && !err; i++) {
		struct tl_day *day = tl_day_pin(store, day_ms[i]);

		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\rseal %zu / %zu days", i + 1, count);
		err = seal_day(seal, day, group_no_max, NULL, NULL, &counts, why);
		tl_day_unpin(day);
	}
	if (err)
		return err;
	if (counts.runs > 0)
		err = rollup_publish_as_found(store, why); /* lets go of the blocks */
	if (!err && counts.runs > 0)
		compact_days(store, day_ms, count);
	printf("sealed %" PRIu64 " days, %" PRIu64 " events\n", counts.days, counts.events);
	return err;
}

static enum tl_err
seal(struct tl_store *store, struct tl_why *why)
{
	struct seal *seal = NULL;
	int64_t *day_ms = NULL;
	size_t count = 0;
	enum tl_err err = rollup_publish_as_found(store, why);

	if (!err)
		err = seal_new(store, &seal);
	if (!err)
		err = list_ended(store, &day_ms, &count);
	if (!err)
		err = seal_days(store, day_ms, count, seal, why);
	seal_free(seal);
	free(day_ms);
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
		err = strcmp(verb, "seal") == 0 ? seal(store, why) : rebuild(store, why);
	tl_store_close(store);
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

	if (strcmp(verb, "rebuild") == 0 || strcmp(verb, "seal") == 0 ||
		strcmp(verb, "accept-loss") == 0) {
		err = run_writing(data_dir, mark_path, verb, operand, &why);
	} else if (strcmp(verb, "verify") == 0 || strcmp(verb, "dump") == 0) {
		err = run_reading(data_dir, mark_path, verb, operand, &is_equal, &why);
	} else {
		fprintf(stderr,
			"tallyd: '%s': verify, rebuild, seal, dump FAMILY or accept-loss HAVE\n",
			verb);
		return EXIT_CODE_USAGE;
	}
	if (err)
		return fail(err, &why);
	return is_equal ? EXIT_CODE_OK : EXIT_CODE_DATA;
}
