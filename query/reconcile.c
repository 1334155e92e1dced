/*
 * What became of every event, by day of arrival and source (SPEC 9.15): the page that a gateway's
 * own counters are held against.
 */
#include "query/reply.h"
#include "schema/store/expiry.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

/* The rows of the days that the window touches, one page of them. */
struct walk {
	struct query_job *job;
	struct reply_page page;
	uint32_t row_idx;
	struct tl_buf *rows; /* the encoded rows of the page */
	uint32_t row_count;
};

static void
put_rejected(struct tl_buf *rows, struct tl_pack_open *map, const struct tl_intake_row *intake)
{
	struct tl_pack_open codes;

	tl_pack_key(rows, map, "rejected_by");
	codes = tl_pack_open_map(rows);
	for (int err = 0; err < TL_ERR_COUNT; err++) {
		if (intake->rejected_by[err] != 0)
			tl_pack_key_int(rows, &codes, tl_err_name((enum tl_err)err),
				intake->rejected_by[err]);
	}
	tl_pack_close(rows, &codes);
}

static enum tl_err
put_row(struct walk *walk, int64_t day_ms, uint32_t source, struct tl_slice value,
	struct tl_why *why)
{
	struct tl_buf *rows = walk->rows;
	struct tl_intake_row intake;
	struct tl_slice name = {0};
	struct tl_pack_open map;
	char day[TL_DAY_TEXT_BYTES];
	enum tl_err err = tl_intake_row_decode(value, &intake);

	if (err)
		return tl_fail(why, err, "an intake row cannot be read");
	err = job_name(walk->job, TL_NAME_TEXT, source, &name, why);
	if (err)
		return err;
	tl_day_format(day_ms, day);
	map = tl_pack_open_map(rows);
	tl_pack_key_str(rows, &map, "day", day);
	tl_pack_key_slice(rows, &map, "source", name);
	tl_pack_key_int(rows, &map, "received", intake.received);
	tl_pack_key_int(rows, &map, "accepted", intake.accepted);
	tl_pack_key_int(rows, &map, "duplicate", intake.duplicate);
	tl_pack_key_int(rows, &map, "replaced", intake.replaced);
	tl_pack_key_int(rows, &map, "conflict", intake.conflict);
	tl_pack_key_int(rows, &map, "rejected", intake.rejected);
	put_rejected(rows, &map, &intake);
	tl_pack_key_int(rows, &map, "late", intake.late);
	tl_pack_key_int(rows, &map, "unpriced", intake.unpriced);
	tl_pack_key_int(rows, &map, "dropped_tags", intake.dropped_tags);
	tl_pack_key_int(rows, &map, "money_nusd", intake.money_nusd);
	tl_pack_close(rows, &map);
	walk->row_count++;
	return TL_OK;
}

static enum tl_err
read_rows(struct walk *walk, struct tl_why *why)
{
	const struct query_scene *scene = walk->job->scene;
	const struct tl_window *window = &walk->job->window;
	struct tl_key first = tl_key_intake(
		scene->org->no, tl_bucket_floor(TL_SPAN_1D, tl_window_start_ms(window)), 0);
	struct tl_key last = tl_key_intake(
		scene->org->no, tl_bucket_ceil(TL_SPAN_1D, tl_window_end_ms(window)), 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err;

	err = tl_scan_open(scene->store, scene->view, TL_FAMILY_INTAKE, tl_key_slice(&first),
		tl_key_slice(&last), &scan, why);
	while (!err) {
		uint32_t org, source = 0;
		int64_t day_ms = 0;

		err = tl_scan_next(scan, &key, &value, why);
		if (!err && !tl_key_intake_parse(key, &org, &day_ms, &source))
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "an intake key cannot be read");
		if (!err && walk->row_idx >= walk->page.first && walk->row_idx < walk->page.end)
			err = put_row(walk, day_ms, source, value, why);
		if (!err)
			walk->row_idx++;
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

/* Counters go with the raw events of the day they arrived on. */
static enum tl_err
find_cut(struct query_job *job, bool *is_cut_out, struct tl_why *why)
{
	int64_t first_ms = tl_bucket_floor(TL_SPAN_1D, tl_window_start_ms(&job->window));
	struct tl_expiry expiry;
	enum tl_err err = tl_expiry_get(job->scene->store, job->scene->view, &expiry, why);

	*is_cut_out = !err && first_ms < expiry.day_ms;
	return err;
}

enum tl_err
reconcile_run(struct query_job *job, struct tl_why *why)
{
	struct walk walk = {.job = job, .page = reply_page_of(job, UINT32_MAX)};
	struct tl_pack_open map;
	struct tl_buf rows;
	enum tl_err err;

	tl_buf_init(&rows, TL_REPLY_BYTES_MAX);
	walk.rows = &rows;
	err = read_rows(&walk, why);
	if (!err)
		err = rows.err;
	if (err)
		goto out;
	walk.page = reply_page_of(job, walk.row_idx);
	err = find_cut(job, &walk.page.is_cut, why);
	if (err)
		goto out;
	map = reply_open(job);
	reply_head(job, &map, &walk.page);
	tl_pack_key(job->reply, &map, "rows");
	tl_pack_array(job->reply, walk.row_count);
	tl_buf_put_slice(job->reply, tl_buf_slice(&rows));
	err = reply_close(job, &map, why);

out:
	tl_buf_fini(&rows);
	return err;
}
