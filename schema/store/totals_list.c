#include "schema/store/totals_list.h"

#define VARINT_BYTES_MAX 10
#define MEASURE_MASK_ALL ((UINT64_C(1) << TL_MEASURE_COUNT) - 1)

/* A bit for each measure. */
struct forms {
	uint64_t present;
	uint64_t sparse;
	uint64_t negative;
};

/* What the values of one measure come to. */
struct survey {
	int64_t bits; /* of all of them */
	uint32_t set_count;
};

static inline struct tl_totals *
totals_at(const struct tl_totals_list *list, uint32_t i)
{
	return (struct tl_totals *)((uint8_t *)list->first + i * list->stride);
}

static void
survey_column(const int64_t *values, uint32_t count, struct survey *survey)
{
	*survey = (struct survey){0};
	for (uint32_t i = 0; i < count; i++) {
		survey->bits |= values[i];
		survey->set_count += values[i] != 0;
	}
}

static struct forms
find_forms(const struct tl_totals_list *list, const int64_t *saved_nusd)
{
	struct survey surveys[TL_MEASURE_COUNT] = {{0}};
	struct forms forms = {0};

	for (uint32_t i = 0; i < list->count; i++) {
		const int64_t *measure = totals_at(list, i)->measure;

		for (uint32_t m = 0; m < TL_MEASURE_COUNT; m++) {
			surveys[m].bits |= measure[m];
			surveys[m].set_count += measure[m] != 0;
		}
	}
	if (saved_nusd != NULL)
		survey_column(saved_nusd, list->count, &surveys[TL_MEASURE_saved_nusd]);
	for (uint32_t m = 0; m < TL_MEASURE_COUNT; m++) {
		uint64_t bit = UINT64_C(1) << m;

		if (surveys[m].set_count == 0)
			continue;
		forms.present |= bit;
		if (surveys[m].set_count + (list->count + 7) / 8 < list->count)
			forms.sparse |= bit;
		if (surveys[m].bits < 0)
			forms.negative |= bit;
	}
	return forms;
}

/* The column of a measure; values is what stands in place of it, or NULL. */
static void
put_column(const struct tl_totals_list *list, uint32_t measure, const struct forms *forms,
	const int64_t *values, struct tl_buf *buf)
{
	bool is_sparse = forms->sparse >> measure & 1;
	bool is_negative = forms->negative >> measure & 1;
	uint32_t bit_bytes = is_sparse ? (list->count + 7) / 8 : 0;
	uint8_t *start = tl_buf_reserve(buf, bit_bytes + (size_t)list->count * VARINT_BYTES_MAX);
	uint8_t *at = start;

	if (start == NULL)
		return;
	memset(start, 0, bit_bytes);
	at += bit_bytes;
	for (uint32_t i = 0; i < list->count; i++) {
		int64_t value = values != NULL ? values[i] : totals_at(list, i)->measure[measure];

		if (is_sparse && value == 0)
			continue;
		if (is_sparse)
			start[i / 8] |= (uint8_t)(1u << i % 8);
		at = tl_varint_write(at, is_negative ? tl_zigzag(value) : (uint64_t)value);
	}
	tl_buf_advance(buf, (size_t)(at - start));
}

void
tl_totals_list_encode(
	const struct tl_totals_list *list, const int64_t *saved_nusd, struct tl_buf *buf)
{
	struct forms forms = find_forms(list, saved_nusd);

	tl_buf_put_varint(buf, forms.present);
	tl_buf_put_varint(buf, forms.sparse);
	tl_buf_put_varint(buf, forms.negative);
	for (uint64_t left = forms.present; left != 0; left &= left - 1) {
		uint32_t measure = (uint32_t)__builtin_ctzll(left);

		put_column(list, measure, &forms,
			measure == TL_MEASURE_saved_nusd ? saved_nusd : NULL, buf);
	}
}

static void
take_column(const struct tl_totals_list *list, uint32_t measure, const struct forms *forms,
	struct tl_cursor *cur)
{
	bool is_sparse = forms->sparse >> measure & 1;
	bool is_negative = forms->negative >> measure & 1;
	struct tl_slice bits = tl_cursor_take(cur, is_sparse ? (list->count + 7) / 8 : 0);

	for (uint32_t i = 0; !cur->err && i < list->count; i++) {
		uint64_t value;

		if (is_sparse && (bits.data[i / 8] >> i % 8 & 1) == 0)
			continue;
		value = tl_cursor_next(cur);
		totals_at(list, i)->measure[measure] =
			is_negative ? tl_unzigzag(value) : (int64_t)value;
	}
}

enum tl_err
tl_totals_list_decode(const struct tl_totals_list *list, struct tl_cursor *cur)
{
	struct forms forms = {.present = tl_cursor_varint(cur)};

	forms.sparse = tl_cursor_varint(cur);
	forms.negative = tl_cursor_varint(cur);
	if (cur->err || ((forms.present | forms.sparse | forms.negative) & ~MEASURE_MASK_ALL) != 0)
		return TL_ESTORAGE_CORRUPT;
	for (uint64_t left = forms.present; left != 0; left &= left - 1)
		take_column(list, (uint32_t)__builtin_ctzll(left), &forms, cur);
	return cur->err;
}
