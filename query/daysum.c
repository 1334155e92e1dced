/*
 *   entities        key | totals of the day | last request
 *   cells           entity, last request, 4 values     by quarter, first_cell[0 .. 96]
 *   measures        of the same cells, those that are not all zero in this day
 *   visits          (entity, session), distinct over the day
 *   quarter visits  (entity, session)                  by quarter, first_visit[0 .. 96]
 *
 * A whole day adds entities, cells and visits; a part of one adds cells with their measures, and
 * the visits of its quarters. Good for every view from built to seen, like a past (past.c). A day
 * that is asked for once leaves a note; only the second time it is summed, since that reads every
 * quarter of it.
 */
#include "query/daysum.h"

#include <assert.h>
#include <stdlib.h>

#include "query/kept.h"
#include "schema/model/bucket.h"

#define DAYSUM_QUARTERS 96u
#define DAYSUM_ARENA_BYTES_MAX (256u << 20)
#define DAYSUM_KEY_BYTES 13u
#define DAYSUM_INITIAL 256u

/* A smaller part is read from pages as fast. */
#define DAYSUM_PART_MS_MIN TL_HOUR_MS

struct entity {
	uint64_t key;
	struct tl_totals totals;
	int64_t last_ms;
};

struct cell {
	uint32_t entity;
	int64_t last_ms;
	int64_t value[TL_METRIC_COUNT];
};

struct visit {
	uint32_t entity;
	uint32_t session;
};

struct daysum {
	struct lru_value value; /* first: what the cache keeps */
	bool is_note;		/* nothing is here yet, but it was asked for */

	/* fixed once kept */
	uint64_t built;
	int64_t day_ms;
	struct tl_arena arena;
	struct entity *entities;
	uint32_t entity_count;
	struct cell *cells;
	int64_t *measures; /* measure_count of each cell */
	uint8_t measure[TL_MEASURE_COUNT];
	uint32_t measure_count;
	struct visit *visits, *quarter_visits;
	uint32_t visit_count;
	uint32_t first_cell[DAYSUM_QUARTERS + 1], first_visit[DAYSUM_QUARTERS + 1];

	/* rises only */
	_Atomic uint64_t seen;
};

/* A day while it is summed. */
struct maker {
	enum tl_dim dim;
	struct tl_arena arena;
	struct table keys; /* entity key -> entity */
	struct entity *entities;
	uint32_t entity_count, entity_capacity;
	uint32_t *cell_of; /* entity -> its cell of the quarter in hand + 1 */
	struct cell *cells;
	struct tl_totals *totals; /* of the cells */
	uint32_t cell_count, cell_capacity;
	struct visit *visits, *quarter_visits;
	uint32_t visit_count, visit_capacity;
	uint32_t quarter_visit_count, quarter_visit_capacity;
	struct visits seen;
	uint32_t quarter; /* in hand */
	uint32_t first_cell[DAYSUM_QUARTERS + 1], first_visit[DAYSUM_QUARTERS + 1];
	bool has_pages;
};

static void
daysum_free(struct lru_value *value)
{
	struct daysum *daysum = (struct daysum *)value;

	tl_arena_fini(&daysum->arena);
	free(daysum);
}

/* Room for one more element; the array left behind stays in the arena. */
static enum tl_err
make_room(struct tl_arena *arena, void *array_inout, uint32_t count, uint32_t *capacity,
	size_t element_bytes)
{
	void **array = array_inout;
	uint32_t wider = *capacity == 0 ? DAYSUM_INITIAL : *capacity * 2;
	void *grown;

	if (count < *capacity)
		return TL_OK;
	grown = tl_arena_array(arena, wider, element_bytes);
	if (grown == NULL)
		return TL_ENOMEM;
	if (count > 0)
		memcpy(grown, *array, count * element_bytes);
	*array = grown;
	*capacity = wider;
	return TL_OK;
}
