/* The totals of each member in each bin of the window, members in the order of their ids. */
#include <stdlib.h>

#include "query/export.h"
#include "query/first.h"

#define BIN_ARENA_BYTES_MAX (256u << 20)

struct line {
	const struct tl_member *member; /* NULL: unattributed */
	const struct board_row *row;
};

void
export_bins_fields(struct query_job *job, struct tl_pack_open *map)
{
	static const char *const names[] = {"bin_start_ms", "bin_end_ms", "member_id",
		"display_name", "requests", "errors", "unpriced", "sessions", "input_tokens",
		"cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
		"saved_tokens", "cost_nusd", "cost_plan_nusd", "saved_nusd"};
	uint32_t count = sizeof(names) / sizeof(names[0]);

	tl_pack_key(job->reply, map, "fields");
	tl_pack_array(job->reply, count);
	for (uint32_t i = 0; i < count; i++)
		tl_pack_str(job->reply, names[i]);
}

static void
put_who(struct query_job *job, const struct tl_member *member)
{
	char hex[2 * sizeof(member->id) + 1];

	if (member == NULL) {
		tl_pack_nil(job->reply);
		tl_pack_nil(job->reply);
		return;
	}
	tl_hex(member->id, sizeof(member->id), hex);
	tl_pack_str(job->reply, hex);
	tl_pack_str(job->reply, member->display_name);
}

static void
put_line(struct query_job *job, uint32_t bin, const struct line *line)
{
	const struct tl_totals *sum = &line->row->totals;
	const int64_t values[] = {sum->requests, sum->errors, sum->unpriced,
		line->row->session_count, sum->input_tokens, sum->cache_read_tokens,
		sum->cache_write_tokens, sum->output_tokens, sum->reasoning_tokens,
		sum->saved_tokens, sum->cost_nusd, sum->cost_plan_nusd, sum->saved_nusd};
	uint32_t count = sizeof(values) / sizeof(values[0]);

	tl_pack_array(job->reply, 4 + count);
	tl_pack_int(job->reply, job->window.edge_ms[bin]);
	tl_pack_int(job->reply, job->window.edge_ms[bin + 1]);
	put_who(job, line->member);
	for (uint32_t i = 0; i < count; i++)
		tl_pack_int(job->reply, values[i]);
}

/* Nobody's comes last. */
static int
line_cmp(const void *a, const void *b)
{
	const struct line *left = a;
	const struct line *right = b;

	if (left->member == NULL || right->member == NULL)
		return (left->member == NULL) - (right->member == NULL);
	return memcmp(left->member->id, right->member->id, sizeof(left->member->id));
}

static enum tl_err
put_bin(struct export *x, uint32_t bin, struct tl_arena *arena, struct tl_why *why)
{
	struct query_job *job = x->job;
	struct tl_window window = {.range = TL_RANGE_CUSTOM,
		.zone = job->window.zone,
		.bin_count = 1,
		.edge_ms = {job->window.edge_ms[bin], job->window.edge_ms[bin + 1]}};
	struct facts_ask ask = facts_all(&window);
	struct line *lines;
	struct board board;
	uint32_t count = 0;
	enum tl_err err = board_init(&board, TL_DIM_MEMBER, false, NULL, arena);

	if (!err)
		err = board_add(&board, job->scene, &ask, why);
	lines = tl_arena_array(arena, board.row_count, sizeof(*lines));
	if (err || lines == NULL)
		return err ? err : TL_ENOMEM;
	for (uint32_t i = 0; i < board.row_count; i++) {
		const struct board_row *row = board_row(&board, i);

		if (row->key == BOARD_KEY_ORG || row->totals.requests == 0)
			continue;
		lines[count++] = (struct line){.row = row,
			.member = row->key != 0 ? tl_org_member(job->scene->org, (uint32_t)row->key)
						: NULL};
	}
	if (count > 1)
		qsort(lines, count, sizeof(*lines), line_cmp);
	for (uint32_t i = 0; i < count; i++)
		put_line(job, bin, &lines[i]);
	x->rows->count += count;
	return TL_OK;
}

enum tl_err
export_bins(struct export *x, struct tl_why *why)
{
	const struct tl_window *window = &x->job->window;
	struct tl_arena arena;
	enum tl_err err = TL_OK;
	uint32_t bin = 0;

	tl_arena_init(&arena, BIN_ARENA_BYTES_MAX);
	while (bin + 1 < window->bin_count && window->edge_ms[bin] <= x->place.ms)
		bin++;
	do {
		tl_arena_reset(&arena);
		err = put_bin(x, bin, &arena, why);
		x->place.ms = window->edge_ms[bin++];
	} while (!err && bin < window->bin_count && !export_is_full(x));
	x->is_over = bin == window->bin_count;
	tl_arena_fini(&arena);
	return err;
}
