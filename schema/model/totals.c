#include "schema/model/totals.h"

#include <assert.h>

const char *
tl_measure_name(enum tl_measure measure)
{
	static const char *const names[TL_MEASURE_COUNT] = {
#define X(name) #name,
		TL_MEASURE_LIST(X)
#undef X
	};

	assert(measure < TL_MEASURE_COUNT);
	return names[measure];
}

/*
 * No branch per measure: the loops below run once per event and once per cell. A sum left its
 * range when its sign differs from that of both amounts; a difference, when the amounts' signs
 * differ and its own is not that of the first. The compiler makes vectors of this.
 */
static int64_t
add(int64_t *restrict sum, const int64_t *restrict value)
{
	int64_t wrong = 0;

	for (int i = 0; i < TL_MEASURE_COUNT; i++) {
		int64_t before = sum[i];
		int64_t after = (int64_t)((uint64_t)before + (uint64_t)value[i]);

		wrong |= (after ^ before) & (after ^ value[i]);
		sum[i] = after;
	}
	return wrong;
}

static int64_t
subtract(int64_t *restrict sum, const int64_t *restrict value)
{
	int64_t wrong = 0;

	for (int i = 0; i < TL_MEASURE_COUNT; i++) {
		int64_t before = sum[i];
		int64_t after = (int64_t)((uint64_t)before - (uint64_t)value[i]);

		wrong |= (before ^ value[i]) & (after ^ before);
		sum[i] = after;
	}
	return wrong;
}

enum tl_err
tl_totals_add(struct tl_totals *sum, const struct tl_totals *value, int sign)
{
	int64_t wrong;

	assert(sign == 1 || sign == -1);
	wrong = sign == 1 ? add(sum->measure, value->measure)
			  : subtract(sum->measure, value->measure);
	return wrong < 0 ? TL_EAMOUNT_OVERFLOW : TL_OK;
}

bool
tl_totals_is_zero(const struct tl_totals *totals)
{
	int64_t bits = 0;

	for (int i = 0; i < TL_MEASURE_COUNT; i++)
		bits |= totals->measure[i];
	return bits == 0;
}

bool
tl_totals_eq(const struct tl_totals *a, const struct tl_totals *b)
{
	return memcmp(a->measure, b->measure, sizeof(a->measure)) == 0;
}

int64_t
tl_totals_tokens(const struct tl_totals *totals)
{
	return tl_totals_tokens_uncached(totals) + totals->cache_read_tokens;
}

int64_t
tl_totals_tokens_uncached(const struct tl_totals *totals)
{
	return totals->input_tokens + totals->cache_write_tokens + totals->output_tokens;
}

int64_t
tl_totals_value(const struct tl_totals *totals, enum tl_metric metric)
{
	int64_t value = 0;

	switch (metric) {
	case TL_METRIC_COST:
		value = totals->cost_nusd;
		break;
	case TL_METRIC_TOKENS:
		value = tl_totals_tokens(totals);
		break;
	case TL_METRIC_TOKENS_UNCACHED:
		value = tl_totals_tokens_uncached(totals);
		break;
	case TL_METRIC_REQUESTS:
		value = totals->requests;
		break;
	}
	return value;
}

int64_t
tl_share(int64_t amount, uint32_t part_count, uint32_t part_idx, uint32_t start_idx)
{
	int64_t quotient;
	int64_t remainder;
	int64_t turn; /* the part's place in the order in which the remainder is handed out */

	assert(part_count > 0);
	assert(part_idx < part_count);
	quotient = amount / part_count;
	remainder = amount % part_count;
	if (remainder < 0) { /* division cuts towards zero; a share floors */
		quotient--;
		remainder += part_count;
	}
	turn = ((int64_t)part_idx + part_count - start_idx % part_count) % part_count;
	return quotient + (turn < remainder);
}

void
tl_totals_share(const struct tl_totals *totals, uint32_t part_count, uint32_t part_idx,
	uint32_t start_idx, struct tl_totals *share_out)
{
	for (int i = 0; i < TL_MEASURE_COUNT; i++)
		share_out->measure[i] =
			tl_share(totals->measure[i], part_count, part_idx, start_idx);
}
