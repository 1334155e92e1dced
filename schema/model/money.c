#include "schema/model/money.h"

#include <assert.h>

#define NUSD_PER_USD 1000000000u
#define FRACTION_DIGITS 9
#define FRACTION_DIGITS_MIN 2
#define EXPONENT_MAX 400 /* past any double's */

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

static bool
is_digit(const uint8_t *at, const uint8_t *end)
{
	return at != end && *at >= '0' && *at <= '9';
}

/* "e-07" up to the end of the text; *exponent is raised by it. */
static bool
read_exponent(const uint8_t *at, const uint8_t *end, int *exponent)
{
	bool minus;
	int value = 0;

	if (at == end)
		return true;
	if (*at != 'e' && *at != 'E')
		return false;
	at++;
	minus = at != end && *at == '-';
	if (minus || (at != end && *at == '+'))
		at++;
	if (!is_digit(at, end))
		return false;
	for (; is_digit(at, end); at++) {
		value = value * 10 + (*at - '0');
		if (value > EXPONENT_MAX)
			return false;
	}
	*exponent += minus ? -value : value;
	return at == end;
}

/* A number as digits[0, count) times 10^exponent. */
struct decimal {
	bool minus;
	uint8_t digits[64];
	int count;
	int exponent;
};

static bool
read_decimal(struct tl_slice text, struct decimal *decimal_out)
{
	const uint8_t *at = text.data;
	const uint8_t *end = text.data + text.bytes;
	struct decimal decimal = {.minus = at != end && *at == '-'};

	if (text.bytes > sizeof(decimal.digits))
		return false;
	if (decimal.minus)
		at++;
	for (; is_digit(at, end); at++)
		decimal.digits[decimal.count++] = (uint8_t)(*at - '0');
	if (at != end && *at == '.') {
		for (at++; is_digit(at, end); at++, decimal.exponent--)
			decimal.digits[decimal.count++] = (uint8_t)(*at - '0');
	}
	if (decimal.count == 0 || !read_exponent(at, end, &decimal.exponent))
		return false;
	*decimal_out = decimal;
	return true;
}

/* Whether what is behind digits[0, kept) rounds away from zero. */
static bool
rounds_up(const struct decimal *decimal, int kept)
{
	if (kept < 0 || kept >= decimal->count || decimal->digits[kept] < 5)
		return false;
	if (decimal->digits[kept] > 5)
		return true;
	for (int i = kept + 1; i < decimal->count; i++) {
		if (decimal->digits[i] != 0)
			return true;
	}
	return kept > 0 && decimal->digits[kept - 1] % 2 == 1;
}

bool
tl_decimal_round(struct tl_slice text, int places, int64_t *scaled_out)
{
	struct decimal decimal;
	int64_t scaled = 0;
	int kept;

	if (!read_decimal(text, &decimal))
		return false;
	kept = decimal.count + decimal.exponent + places;
	for (int i = 0; i < kept; i++) {
		int digit = i < decimal.count ? decimal.digits[i] : 0;

		if (__builtin_mul_overflow(scaled, 10, &scaled) ||
			__builtin_add_overflow(scaled, digit, &scaled))
			return false;
	}
	if (rounds_up(&decimal, kept) && __builtin_add_overflow(scaled, 1, &scaled))
		return false;
	*scaled_out = decimal.minus ? -scaled : scaled;
	return true;
}
