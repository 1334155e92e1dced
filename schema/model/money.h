/* Money is int64 nano-dollars (10^-9 USD). Sums are checked; there is no floating point. */
#ifndef TL_MODEL_MONEY_H
#define TL_MODEL_MONEY_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/* False when the sum leaves int64; *sum is untouched then. Serves every 64-bit measure. */
TL_MUST static inline bool
tl_sum_add(int64_t *sum, int64_t value)
{
	int64_t result;

	if (__builtin_add_overflow(*sum, value, &result))
		return false;
	*sum = result;
	return true;
}

/* floor(a * b / c) in 128 bits; c > 0, a and b >= 0. False when the result leaves int64. */
TL_MUST bool tl_muldiv(int64_t a, int64_t b, int64_t c, int64_t *result_out);

#define TL_USD_TEXT_BYTES 24

/* Decimal dollars: 9 places trimmed to at least 2, "-0.50", "9007199.254740993". */
void tl_usd_format(int64_t nusd, char text_out[TL_USD_TEXT_BYTES]);

/* Parses digits[.digits], at most 9 places, optional '-'. False when it is anything else. */
TL_MUST bool tl_usd_parse(struct tl_slice text, int64_t *nusd_out);

/*
 * Decimal text, also with an exponent ("1e-07"), times 10^places, rounded half to even: what other
 * programs print of dollars (places 9) and seconds (places 3). False when it is anything else, or
 * leaves int64.
 */
TL_MUST bool tl_decimal_round(struct tl_slice text, int places, int64_t *scaled_out);

#endif
