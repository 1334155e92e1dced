/*
 * Rates are the solution of a few rows' equations, exact modulo the prime 2^61 - 1: small numbers
 * come out as themselves, and rows that follow no rates give nonsense that other rows disprove.
 */
#include "schema/store/rates.h"

#define PRIME ((UINT64_C(1) << 61) - 1)
#define RATE_MAX (INT64_C(1) << 40) /* nano-dollars a token: above it is nonsense */
#define SAMPLE_ROWS 12u		    /* that a solution is made of and tried on */
#define SAMPLE_AGREE 9u
#define SAMPLE_APART 4u	      /* tries begin at such places of a sample */
#define SCAN_ROWS_MAX 4096u   /* looked at for a sample */
#define ROWS_PER_ATTEMPT 128u /* so many rows pay for a solution */
#define ATTEMPTS_MAX 20u
#define NO_ROW UINT32_MAX

static const enum tl_column token_columns[TL_RATES] = {TL_COL_INPUT, TL_COL_CACHE_READ,
	TL_COL_CACHE_WRITE, TL_COL_CACHE_WRITE_1H, TL_COL_OUTPUT, TL_COL_SAVED_TOKENS};

/* Where the tokens of rows are. */
struct tokens {
	const int64_t *of[TL_RATES];
	int64_t used[TL_RATES]; /* 0: the batch lacks the column, of is another one */
};

struct sample {
	uint32_t row[SAMPLE_ROWS];
	uint32_t count;
};

/* Sum of tokens x coefficients = cost, or a row of what they solve to. */
struct equation {
	uint64_t term[TL_RATES_OF_COST];
	uint64_t sum;
	bool is_there;
};

static struct tokens
tokens_of(const struct tl_batch *batch, const int64_t *any)
{
	struct tokens tokens;

	for (uint32_t i = 0; i < TL_RATES; i++) {
		const int64_t *values = batch->column[token_columns[i]];

		tokens.of[i] = values != NULL ? values : any;
		tokens.used[i] = values != NULL;
	}
	return tokens;
}

static inline uint64_t
cost_at(const struct tokens *tokens, const int64_t *rate, uint32_t row)
{
	uint64_t cost = 0;

#pragma GCC unroll 5
	for (uint32_t i = 0; i < TL_RATES_OF_COST; i++)
		cost += (uint64_t)tokens->of[i][row] * (uint64_t)rate[i];
	return cost;
}

static inline uint64_t
savings_at(const struct tokens *tokens, const int64_t *rate, uint32_t row)
{
	return (uint64_t)tokens->of[TL_RATES_OF_COST][row] * (uint64_t)rate[TL_RATES_OF_COST];
}

static uint64_t
mul(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	uint64_t sum = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);

	return sum >= PRIME ? sum - PRIME : sum;
}

static uint64_t
sub(uint64_t a, uint64_t b)
{
	return a >= b ? a - b : a + PRIME - b;
}

/* value to the power PRIME - 2. */
static uint64_t
inverse(uint64_t value)
{
	uint64_t power = value;
	uint64_t result = 1;

	for (uint64_t bits = PRIME - 2; bits > 0; bits >>= 1) {
		if ((bits & 1) != 0)
			result = mul(result, power);
		power = mul(power, power);
	}
	return result;
}

static void
subtract(struct equation *from, const struct equation *equation, uint64_t times)
{
	for (uint32_t i = 0; times != 0 && i < TL_RATES_OF_COST; i++)
		from->term[i] = sub(from->term[i], mul(equation->term[i], times));
	if (times != 0)
		from->sum = sub(from->sum, mul(equation->sum, times));
}

/* Bring an equation into the solved ones; solved[i] has 1 at i and 0 at the others. */
static bool
solve_by(struct equation *solved, struct equation *equation)
{
	uint64_t factor;
	uint32_t pivot = 0;

	for (uint32_t i = 0; i < TL_RATES_OF_COST; i++) {
		if (solved[i].is_there)
			subtract(equation, &solved[i], equation->term[i]);
	}
	while (pivot < TL_RATES_OF_COST && equation->term[pivot] == 0)
		pivot++;
	if (pivot == TL_RATES_OF_COST)
		return false;
	factor = inverse(equation->term[pivot]);
	for (uint32_t i = 0; i < TL_RATES_OF_COST; i++)
		equation->term[i] = mul(equation->term[i], factor);
	equation->sum = mul(equation->sum, factor);
	for (uint32_t i = 0; i < TL_RATES_OF_COST; i++) {
		if (solved[i].is_there)
			subtract(&solved[i], equation, solved[i].term[pivot]);
	}
	solved[pivot] = *equation;
	solved[pivot].is_there = true;
	return true;
}

static uint64_t
residue(int64_t value)
{
	int64_t rest = value % (int64_t)PRIME;

	return (uint64_t)(rest < 0 ? rest + (int64_t)PRIME : rest);
}

/* By the first rows from first on that suffice. False: no rates of a sane size. */
static bool
solve(const struct tl_batch *batch, const struct tokens *tokens, const struct sample *sample,
	uint32_t first, int64_t *rate_out)
{
	struct equation solved[TL_RATES_OF_COST] = {{.is_there = false}};
	uint32_t unknown = 0;

	for (uint32_t i = 0; i < TL_RATES_OF_COST; i++)
		unknown += tokens->used[i] != 0;
	for (uint32_t k = 0; k < sample->count && unknown > 0; k++) {
		uint32_t row = sample->row[(first + k) % sample->count];
		struct equation equation = {.sum = residue(batch->column[TL_COL_COST][row])};

		for (uint32_t i = 0; i < TL_RATES_OF_COST; i++)
			equation.term[i] = tokens->used[i] != 0 ? residue(tokens->of[i][row]) : 0;
		unknown -= solve_by(solved, &equation);
	}
	for (uint32_t i = 0; i < TL_RATES_OF_COST; i++) {
		int64_t rate = (int64_t)solved[i].sum;

		if (rate > (int64_t)(PRIME / 2))
			rate -= (int64_t)PRIME;
		if (rate > RATE_MAX || rate < -RATE_MAX)
			return false;
		rate_out[i] = rate;
	}
	return true;
}

/* The rate of the first row that has savings. */
static int64_t
solve_savings(
	const struct tl_batch *batch, const struct tokens *tokens, const struct sample *sample)
{
	const int64_t *savings = batch->column[TL_COL_SAVED_NUSD];

	for (uint32_t k = 0; savings != NULL && k < sample->count; k++) {
		uint32_t row = sample->row[k];
		int64_t saved = tokens->of[TL_RATES_OF_COST][row];

		if (tokens->used[TL_RATES_OF_COST] != 0 && saved > 0 && savings[row] > 0)
			return savings[row] / saved;
	}
	return 0;
}

static bool
is_priced(const struct tl_batch *batch, uint32_t row)
{
	return batch->column[TL_COL_COST][row] > 0;
}

/* Priced rows of the org and model of rows[first], from there on. */
static void
take_sample(const struct tl_batch *batch, const uint32_t *row_idx, uint32_t row_count,
	uint32_t first, struct sample *sample)
{
	int64_t org = tl_batch_get(batch, TL_COL_ORG, row_idx[first]);
	int64_t model = tl_batch_get(batch, TL_COL_MODEL, row_idx[first]);
	uint32_t end = row_count - first < SCAN_ROWS_MAX ? row_count : first + SCAN_ROWS_MAX;

	sample->count = 0;
	for (uint32_t i = first; i < end && sample->count < SAMPLE_ROWS; i++) {
		uint32_t row = row_idx[i];

		if (tl_batch_get(batch, TL_COL_MODEL, row) == model &&
			tl_batch_get(batch, TL_COL_ORG, row) == org && is_priced(batch, row))
			sample->row[sample->count++] = row;
	}
}

static bool
most_agree(const struct tl_batch *batch, const struct tokens *tokens, const struct sample *sample,
	const int64_t *rate)
{
	uint32_t agree = 0;

	for (uint32_t k = 0; k < sample->count; k++) {
		uint32_t row = sample->row[k];

		agree += cost_at(tokens, rate, row) == (uint64_t)batch->column[TL_COL_COST][row];
	}
	return agree >= SAMPLE_AGREE;
}

/* The rates of most rows of the sample become the last of rates; false when there are none. */
static bool
add_rates(struct tl_rates *rates, const struct tl_batch *batch, const struct tokens *tokens,
	const struct sample *sample)
{
	int64_t rate[TL_RATES];

	if (rates->count == TL_RATES_MAX || sample->count < SAMPLE_ROWS)
		return false;
	/* A row that follows no rates spoils what it is part of. */
	for (uint32_t first = 0; first < SAMPLE_ROWS; first += SAMPLE_APART) {
		if (!solve(batch, tokens, sample, first, rate) ||
			!most_agree(batch, tokens, sample, rate))
			continue;
		rate[TL_RATES_OF_COST] = solve_savings(batch, tokens, sample);
		memcpy(rates->rate[++rates->count], rate, sizeof(rate));
		return true;
	}
	return false;
}

/* The number of the rates that give the row's cost, 0 when none do. */
static uint32_t
match(const struct tl_rates *rates, const struct tl_batch *batch, const struct tokens *tokens,
	uint32_t row)
{
	uint64_t cost = (uint64_t)batch->column[TL_COL_COST][row];

	for (uint32_t i = 1; i <= rates->count; i++) {
		if (cost_at(tokens, rates->rate[i], row) == cost)
			return i;
	}
	return 0;
}

/* The places of an origin's first and last priced row: one of them may follow no rates. */
struct priced {
	uint32_t first, last;
};

static struct priced *
find_priced(const struct tl_batch *batch, const uint32_t *row_idx, uint32_t row_count,
	const struct tl_origins *origins, struct tl_arena *arena)
{
	struct priced *priced = tl_arena_room(arena, origins->count, sizeof(*priced));

	if (priced == NULL)
		return NULL;
	memset(priced, 0xff, origins->count * sizeof(*priced));
	for (uint32_t i = 0; i < row_count; i++) {
		struct priced *own = &priced[origins->of_row[i]];

		if (!is_priced(batch, row_idx[i]))
			continue;
		own->last = i;
		if (own->first == NO_ROW)
			own->first = i;
	}
	return priced;
}

static uint32_t
match_either(const struct tl_rates *rates, const struct tl_batch *batch,
	const struct tokens *tokens, const uint32_t *row_idx, const struct priced *priced)
{
	uint32_t matched = match(rates, batch, tokens, row_idx[priced->first]);

	if (matched == 0 && priced->last != priced->first)
		matched = match(rates, batch, tokens, row_idx[priced->last]);
	return matched;
}

enum tl_err
tl_rates_find(const struct tl_batch *batch, const uint32_t *row_idx, uint32_t row_count,
	const struct tl_origins *origins, struct tl_arena *arena, struct tl_rates *rates_out)
{
	struct tokens tokens = tokens_of(batch, batch->column[TL_COL_COST]);
	uint32_t attempts = row_count / ROWS_PER_ATTEMPT;
	struct priced *priced;
	struct sample sample;

	*rates_out = (struct tl_rates){.count = 0};
	if (attempts == 0 || batch->column[TL_COL_COST] == NULL)
		return TL_OK;
	attempts = attempts < ATTEMPTS_MAX ? attempts : ATTEMPTS_MAX;
	priced = find_priced(batch, row_idx, row_count, origins, arena);
	rates_out->of_origin = tl_arena_array(arena, origins->count, sizeof(int64_t));
	if (priced == NULL || rates_out->of_origin == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < origins->count; i++) {
		int64_t *own = &rates_out->of_origin[i];

		if (priced[i].first == NO_ROW)
			continue;
		*own = match_either(rates_out, batch, &tokens, row_idx, &priced[i]);
		if (*own != 0 || attempts == 0)
			continue;
		attempts--;
		take_sample(batch, row_idx, row_count, priced[i].first, &sample);
		if (add_rates(rates_out, batch, &tokens, &sample))
			*own = match_either(rates_out, batch, &tokens, row_idx, &priced[i]);
	}
	return TL_OK;
}

/* Rates that the batch has no tokens for are none. */
static void
copy_used(const struct tl_rates *rates, const struct tokens *tokens, int64_t (*rate_out)[TL_RATES])
{
	for (uint32_t i = 0; i <= rates->count; i++) {
		for (uint32_t k = 0; k < TL_RATES; k++)
			rate_out[i][k] = rates->rate[i][k] * tokens->used[k];
	}
}

void
tl_rates_take_off(const struct tl_rates *rates, const struct tl_batch *batch, enum tl_column column,
	const uint32_t *row_idx, uint32_t row_count, const int64_t *of_row,
	int64_t *differences_out)
{
	const int64_t *values = batch->column[column];
	struct tokens tokens = tokens_of(batch, values);
	int64_t rate[TL_RATES_MAX + 1][TL_RATES];

	copy_used(rates, &tokens, rate);
	for (uint32_t i = 0; i < row_count; i++) {
		const int64_t *own = rate[rates->of_origin[of_row[i]]];
		uint32_t row = row_idx[i];
		uint64_t expected = column == TL_COL_COST ? cost_at(&tokens, own, row)
							  : savings_at(&tokens, own, row);

		differences_out[i] =
			(int64_t)tl_zigzag((int64_t)((uint64_t)values[row] - expected));
	}
}

void
tl_rates_put_on(const struct tl_rates *rates, const struct tl_batch *batch, enum tl_column column,
	const int64_t *of_row, int64_t *values)
{
	struct tokens tokens = tokens_of(batch, values);
	int64_t rate[TL_RATES_MAX + 1][TL_RATES];

	copy_used(rates, &tokens, rate);
	for (uint32_t i = 0; i < batch->row_count; i++) {
		const int64_t *own = rate[rates->of_origin[of_row[i]]];
		uint64_t expected = column == TL_COL_COST ? cost_at(&tokens, own, i)
							  : savings_at(&tokens, own, i);

		values[i] = (int64_t)((uint64_t)tl_unzigzag((uint64_t)values[i]) + expected);
	}
}
