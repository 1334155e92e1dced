#include "bench/question.h"

#include <string.h>

#include "schema/wire/pack.h"

#define MINUTE_MS 60000LL
#define DAY_MS 86400000LL
#define ZONE_COUNT 4u
#define CURSOR_COUNT 9u

static const char *const ranges[QUESTION_RANGES] = {"24h", "7d", "30d", "90d"};
static const char *const zones[ZONE_COUNT] = {
	"Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Adelaide"};

const char *
question_range(uint32_t idx)
{
	return ranges[idx % QUESTION_RANGES];
}

/* The first page as the one from the row 0, 00, 000, ... */
static void
put_start(struct tl_buf *request, struct tl_pack_open *map, uint32_t no)
{
	char cursor[] = "o000000000";

	cursor[2 + no % CURSOR_COUNT] = '\0';
	tl_pack_key_str(request, map, "cursor", cursor);
}

/*
 * 270 ways to ask for the first page: of 36 to 65 rows.
 * A round asks for a range at most that often before the second is over in which a kept reply is
 * good.
 */
static void
put_page(struct tl_buf *request, struct tl_pack_open *map, uint32_t no)
{
	put_start(request, map, no / 30);
	tl_pack_key_int(request, map, "limit", 36 + no % 30);
}

static void
put_custom(struct tl_buf *request, struct tl_pack_open *map, int64_t now_ms, uint32_t no)
{
	int64_t from_ms = now_ms - 41 * DAY_MS + 17 * MINUTE_MS + no % 10000 * (MINUTE_MS + 1000);

	tl_pack_key_int(request, map, "from", from_ms);
	tl_pack_key_int(request, map, "to", from_ms + 17 * DAY_MS + 23 * MINUTE_MS);
	tl_pack_key_str(request, map, "tz", zones[no % ZONE_COUNT]);
	tl_pack_key_int(request, map, "limit", 50);
}

/* Always in UTC. */
static void
put_window(struct tl_buf *request, struct tl_pack_open *map, const struct question_ask *ask,
	uint32_t no)
{
	tl_pack_key_str(request, map, "org", ask->org);
	tl_pack_key_str(request, map, "range", ask->range);
	if (strcmp(ask->range, "custom") == 0) {
		tl_pack_key_int(request, map, "from", ask->from_ms);
		tl_pack_key_int(request, map, "to", ask->to_ms);
	}
	tl_pack_key_str(request, map, "tz", "UTC");
	put_start(request, map, no);
	tl_pack_key_int(request, map, "limit", ask->limit);
}

void
question_put(struct tl_buf *request, const struct question_ask *ask, uint32_t no)
{
	struct tl_pack_open map;

	tl_buf_reset(request);
	map = tl_pack_open_map(request);
	tl_pack_key_int(request, &map, "v", 1);
	if (ask->type != ASK_WINDOW)
		tl_pack_key_str(request, &map, "token", ask->token);
	tl_pack_key_str(request, &map, "op", ask->op);
	switch (ask->type) {
	case ASK_RANGES:
		tl_pack_key_str(request, &map, "range", question_range(no));
		tl_pack_key_int(request, &map, "limit", 50);
		break;
	case ASK_ANEW:
		tl_pack_key_str(request, &map, "range", question_range(no));
		put_page(request, &map, no / QUESTION_RANGES);
		break;
	case ASK_CUSTOM:
		put_custom(request, &map, ask->now_ms, no);
		break;
	case ASK_WINDOW:
		put_window(request, &map, ask, no);
		break;
	}
	tl_pack_close(request, &map);
}
