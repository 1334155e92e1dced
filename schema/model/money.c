#include "schema/model/money.h"

#include <assert.h>

#define NUSD_PER_USD 1000000000u
#define FRACTION_DIGITS 9
#define FRACTION_DIGITS_MIN 2

bool
tl_muldiv(int64_t a, int64_t b, int64_t c, int64_t *result_out)
{
	__int128 result;

	assert(a >= 0);
	assert(b >= 0);
	assert(c > 0);
	result = (__int128)a * b / c;
	if (result > INT64_MAX)
		return false;
	*result_out = (int64_t)result;
	return true;
}

void
tl_usd_format(int64_t nusd, char text_out[TL_USD_TEXT_BYTES])
{
	uint64_t magnitude = nusd < 0 ? -(uint64_t)nusd : (uint64_t)nusd;
	uint64_t dollars = magnitude / NUSD_PER_USD;
	uint64_t fraction = magnitude % NUSD_PER_USD;
	int digit_count = FRACTION_DIGITS;
	char digits[TL_USD_TEXT_BYTES];
	char *start = digits + sizeof(digits);

	for (; digit_count > FRACTION_DIGITS_MIN && fraction % 10 == 0; digit_count--)
		fraction /= 10;

	/* Written from the end: nothing else knows how long the dollars are. */
	*--start = '\0';
	for (int i = 0; i < digit_count; i++, fraction /= 10)
		*--start = (char)('0' + fraction % 10);
	*--start = '.';
	do {
		*--start = (char)('0' + dollars % 10);
		dollars /= 10;
	} while (dollars > 0);
	if (nusd < 0)
		*--start = '-';
	memcpy(text_out, start, (size_t)(digits + sizeof(digits) - start));
}

/* Counts below zero, where int64 reaches one further. */
static bool
push_digit(int64_t *negative, int digit)
{
	return !__builtin_mul_overflow(*negative, 10, negative) &&
	       !__builtin_sub_overflow(*negative, digit, negative);
}

bool
tl_usd_parse(struct tl_slice text, int64_t *nusd_out)
{
	const uint8_t *at = text.data;
	const uint8_t *end = text.data + text.bytes;
	bool minus = at != end && *at == '-';
	int64_t negative = 0;
	int dollar_digits = 0;
	int fraction_digits = 0;

	if (minus)
		at++;
	for (; at != end && *at >= '0' && *at <= '9'; at++, dollar_digits++) {
		if (!push_digit(&negative, *at - '0'))
			return false;
	}
	if (dollar_digits == 0)
		return false;
	if (at != end) {
		if (*at++ != '.' || at == end)
			return false;
		for (; at != end && *at >= '0' && *at <= '9'; at++, fraction_digits++) {
			if (fraction_digits == FRACTION_DIGITS || !push_digit(&negative, *at - '0'))
				return false;
		}
		if (at != end)
			return false;
	}
	for (; fraction_digits < FRACTION_DIGITS; fraction_digits++) {
		if (!push_digit(&negative, 0))
			return false;
	}
	if (!minus && negative == INT64_MIN)
		return false;
	*nusd_out = minus ? negative : -negative;
	return true;
}
