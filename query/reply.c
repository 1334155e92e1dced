#include "query/reply.h"

#include "schema/model/money.h"

#define PPM 1000000

struct reply_page
reply_page_cut(uint32_t first, uint32_t limit, uint32_t row_count)
{
	struct reply_page page = {.first = first, .end = row_count};

	if (page.first > row_count)
		page.first = row_count;
	if (row_count - page.first > limit) {
		page.end = page.first + limit;
		page.has_more = true;
	}
	return page;
}

struct reply_page
reply_page_of(const struct query_job *job, uint32_t row_count)
{
	return reply_page_cut(job->offset, job->limit, row_count);
}

struct tl_pack_open
reply_open(struct query_job *job)
{
	struct tl_pack_open map = tl_pack_open_map(job->reply);

	tl_pack_key_int(job->reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(job->reply, &map, "ok", true);
	return map;
}

static void
put_window(struct tl_buf *reply, const struct tl_window *window)
{
	tl_pack_map(reply, 6);
	tl_pack_str(reply, "range");
	tl_pack_str(reply, tl_range_name(window->range));
	tl_pack_str(reply, "start_ms");
	tl_pack_int(reply, tl_window_start_ms(window));
	tl_pack_str(reply, "end_ms");
	tl_pack_int(reply, tl_window_end_ms(window));
	tl_pack_str(reply, "tz");
	tl_pack_str(reply, tl_zone_name(window->zone));
	tl_pack_str(reply, "bins");
	tl_pack_int(reply, window->bin_count);
	tl_pack_str(reply, "bin_edges_ms");
	tl_pack_ints(reply, window->edge_ms, window->bin_count + 1);
}

static const char *
metric_name(enum tl_metric metric)
{
	switch (metric) {
	case TL_METRIC_COST:
		return "cost";
	case TL_METRIC_TOKENS:
	case TL_METRIC_TOKENS_UNCACHED:
		return "tokens";
	case TL_METRIC_REQUESTS:
		return "requests";
	}
	return NULL;
}

void
reply_page_put(struct query_job *job, struct tl_pack_open *map, const struct reply_page *page)
{
	char cursor[TL_PAGE_CURSOR_BYTES];
	bool has_more = page != NULL && page->has_more;

	if (has_more)
		tl_page_cursor_format(page->end, cursor);
	tl_pack_key_bool(job->reply, map, "truncated", has_more || (page != NULL && page->is_cut));
	tl_pack_key_str(job->reply, map, "next_cursor", has_more ? cursor : NULL);
}

void
reply_head_figures(struct query_job *job, struct tl_pack_open *map)
{
	struct tl_buf *reply = job->reply;

	tl_pack_key_int(reply, map, "as_of_ms", job->scene->now_ms);
	tl_pack_key_int(reply, map, "seq", (int64_t)tl_view_seq(job->scene->view));
	tl_pack_key(reply, map, "window");
	put_window(reply, &job->window);
	tl_pack_key_str(reply, map, "metric", metric_name(job->query->metric));
	tl_pack_key_str(
		reply, map, "tokens_rule", job->query->tokens_uncached ? "uncached" : "all");
}

void
reply_head(struct query_job *job, struct tl_pack_open *map, const struct reply_page *page)
{
	reply_head_figures(job, map);
	reply_page_put(job, map, page);
}

enum tl_err
reply_close(struct query_job *job, const struct tl_pack_open *map, struct tl_why *why)
{
	tl_pack_close(job->reply, map);
	if (job->reply->err == TL_EFULL)
		return tl_fail(why, TL_EBAD_PARAM, "limit: the reply is too large; ask for fewer");
	return job->reply->err;
}

int64_t
reply_ppm(int64_t part, int64_t whole)
{
	int64_t ppm;

	if (whole <= 0 || part <= 0 || !tl_muldiv(part, PPM, whole, &ppm))
		return 0;
	return ppm;
}

void
reply_totals(struct query_job *job, struct tl_pack_open *map, const struct tl_totals *totals,
	uint32_t session_count)
{
	struct tl_buf *reply = job->reply;
	int64_t tokens = tl_totals_tokens(totals);
	int64_t saved_whole = totals->saved_tokens;

	if (!tl_sum_add(&saved_whole, tokens))
		saved_whole = INT64_MAX;
	tl_pack_key_int(reply, map, "cost_nusd", totals->cost_nusd);
	tl_pack_key_int(reply, map, "cost_plan_nusd", totals->cost_plan_nusd);
	tl_pack_key_int(reply, map, "tokens", tokens);
	tl_pack_key_int(reply, map, "tokens_uncached", tl_totals_tokens_uncached(totals));
	tl_pack_key_int(reply, map, "input_tokens", totals->input_tokens);
	tl_pack_key_int(reply, map, "cache_read_tokens", totals->cache_read_tokens);
	tl_pack_key_int(reply, map, "cache_write_tokens", totals->cache_write_tokens);
	tl_pack_key_int(reply, map, "output_tokens", totals->output_tokens);
	tl_pack_key_int(reply, map, "reasoning_tokens", totals->reasoning_tokens);
	tl_pack_key_int(reply, map, "requests", totals->requests);
	tl_pack_key_int(reply, map, "errors", totals->errors);
	tl_pack_key_int(reply, map, "unpriced", totals->unpriced);
	tl_pack_key_int(reply, map, "sessions", session_count);
	tl_pack_key_int(reply, map, "saved_nusd", totals->saved_nusd);
	tl_pack_key_int(reply, map, "saved_tokens", totals->saved_tokens);
	tl_pack_key_int(reply, map, "saved_ppm", reply_ppm(totals->saved_tokens, saved_whole));
}

void
reply_spark(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct board_row *row)
{
	int64_t values[TL_WINDOW_BINS_MAX];
	uint32_t bin_count = job->window.bin_count;

	board_spark(row, job->query->metric, bin_count, values);
	tl_pack_key(job->reply, map, key);
	tl_pack_ints(job->reply, values, bin_count);
}

void
reply_time(struct query_job *job, struct tl_pack_open *map, const char *key, int64_t time_ms)
{
	tl_pack_key(job->reply, map, key);
	if (time_ms == INT64_MIN || time_ms == INT64_MAX)
		tl_pack_nil(job->reply);
	else
		tl_pack_int(job->reply, time_ms);
}

void
reply_member_id(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct tl_member *member)
{
	char hex[2 * sizeof(member->id) + 1];

	if (member != NULL)
		tl_hex(member->id, sizeof(member->id), hex);
	tl_pack_key_str(job->reply, map, key, member != NULL ? hex : NULL);
}

bool
reply_shows_email(const struct query_job *job, const struct tl_member *member)
{
	const struct tl_caller *caller = &job->scene->caller;

	return job->sees_private || (caller->member_no != 0 && caller->member_no == member->no);
}

void
reply_member_name(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct tl_member *member)
{
	char text[2 * sizeof(member->id) + 1];

	if (member->display_name[0] != '\0') {
		tl_pack_key_str(job->reply, map, key, member->display_name);
	} else if (member->email[0] != '\0' && reply_shows_email(job, member)) {
		tl_pack_key_str(job->reply, map, key, member->email);
	} else {
		tl_hex(member->id, sizeof(member->id) / 2, text);
		strcat(text, "...");
		tl_pack_key_str(job->reply, map, key, text);
	}
}
