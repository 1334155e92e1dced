/*
 * The rows behind the figures, page by page on one view: requests in the order of (ts, id), or the
 * totals of each member in each bin. The cursor names the view, which is kept for who goes on, and
 * the last row.
 */
#include "query/export.h"

#include <inttypes.h>
#include <stdio.h>

#include "query/kept.h"
#include "schema/base/log.h"
#include "schema/store/expiry.h"

#define CURSOR_BYTES 96

static enum tl_err
cursor_fail(struct tl_why *why)
{
	return tl_fail(why, TL_ECURSOR_INVALID, "cursor: not one of an export under way");
}

/* "x<lease>.<ms>.<id>", numbers in hex. */
static void
format_cursor(uint64_t lease_no, const struct export_place *place, char text[CURSOR_BYTES])
{
	char id[2 * sizeof(place->id) + 1];

	tl_hex(place->id, sizeof(place->id), id);
	snprintf(text, CURSOR_BYTES, "x%016" PRIx64 ".%016" PRIx64 ".%s", lease_no,
		(uint64_t)place->ms, id);
}

static bool
parse_number(struct tl_slice text, uint64_t *number_out)
{
	uint8_t bytes[8];

	if (!tl_unhex(text, bytes, sizeof(bytes)))
		return false;
	*number_out = tl_get_be64(bytes);
	return true;
}

static bool
parse_cursor(struct tl_slice text, uint64_t *lease_no_out, struct export_place *place_out)
{
	uint64_t ms;

	if (text.bytes != 67 || text.data[0] != 'x' || text.data[17] != '.' ||
		text.data[34] != '.' ||
		!parse_number(tl_slice_of(text.data + 1, 16), lease_no_out) ||
		!parse_number(tl_slice_of(text.data + 18, 16), &ms))
		return false;
	place_out->ms = (int64_t)ms;
	return tl_unhex(tl_slice_of(text.data + 35, 32), place_out->id, sizeof(place_out->id));
}

/* Before the first row. */
static enum tl_err
begin(struct query_job *job, struct lease **lease_out, struct export_place *place_out,
	struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	struct tl_expiry expiry;
	char day[TL_DAY_TEXT_BYTES];
	enum tl_err err;

	err = leases_open(scene->cache->leases, scene->store, &scene->caller, &job->window,
		scene->now_ms, lease_out, why);
	if (!err)
		err = tl_expiry_get(scene->store, (*lease_out)->view, &expiry, why);
	if (err)
		return err;
	if (tl_window_start_ms(&job->window) < expiry.day_ms && !job->query->by_bins) {
		tl_day_format(expiry.day_ms, day);
		return tl_fail(
			why, TL_EEDGE_UNAVAILABLE, "from: the events before %s have expired", day);
	}
	*place_out = (struct export_place){.ms = tl_window_start_ms(&job->window) - 1};
	memset(place_out->id, 0xff, sizeof(place_out->id));
	tl_log(TL_LOG_INFO, "export begins org=%u by=%s level=%s", scene->org->no,
		scene->caller.key_id, job->query->by_bins ? "bins" : "request");
	return TL_OK;
}

static enum tl_err
find_lease(struct query_job *job, struct lease **lease_out, struct export_place *place_out,
	struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	uint64_t no = 0;

	if (job->query->cursor.bytes == 0)
		return begin(job, lease_out, place_out, why);
	if (parse_cursor(job->query->cursor, &no, place_out))
		*lease_out = leases_take(scene->cache->leases, &scene->caller, no);
	return *lease_out == NULL ? cursor_fail(why) : TL_OK;
}

static enum tl_err
put_page(struct query_job *job, struct export *x, uint64_t lease_no, struct tl_why *why)
{
	struct tl_pack_open map = reply_open(job);
	struct tl_pack_open rows;
	char cursor[CURSOR_BYTES];
	enum tl_err err;

	reply_head_figures(job, &map);
	tl_pack_key_str(job->reply, &map, "level", job->query->by_bins ? "bins" : "request");
	if (job->query->by_bins)
		export_bins_fields(job, &map);
	else
		export_requests_fields(job, &map);
	tl_pack_key(job->reply, &map, "rows");
	rows = tl_pack_open_array(job->reply);
	x->rows = &rows;
	x->end_bytes = job->reply->bytes + EXPORT_PAGE_BYTES;
	x->end_us = tl_clock_mono_us() + EXPORT_PAGE_US;
	err = job->query->by_bins ? export_bins(x, why) : export_requests(x, why);
	tl_pack_close(job->reply, &rows);
	if (err)
		return err;
	format_cursor(lease_no, &x->place, cursor);
	tl_pack_key_bool(job->reply, &map, "truncated", !x->is_over);
	tl_pack_key_str(job->reply, &map, "next_cursor", x->is_over ? NULL : cursor);
	return reply_close(job, &map, why);
}

enum tl_err
export_run(struct query_job *job, struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	struct query_scene then = *scene;
	struct lease *lease = NULL;
	struct export x = {.job = job};
	enum tl_err err;

	if (scene->cache == NULL)
		return tl_fail(why, TL_EINTERNAL, "no place for the view of an export");
	err = find_lease(job, &lease, &x.place, why);
	if (!err) {
		then.view = lease->view;
		then.now_ms = lease->now_ms;
		job->window = lease->window;
		job->scene = &then;
		err = put_page(job, &x, lease->no, why);
		job->scene = scene;
	}
	leases_leave(scene->cache->leases, lease, err || x.is_over);
	return err;
}
