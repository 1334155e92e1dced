/*
 * Money is text from the server ("480.85698815") or whole nano-dollars in a bigint. It never is a
 * number: past 2^53 nano-dollars, nine million dollars, a number would be wrong.
 */
import { grouped } from './count';

const NANO_DIGITS = 9;
const NANO_PER_CENT = 10_000_000n;

export function nanoOf(usd: string): bigint {
	const isNegative = usd.startsWith('-');
	const [whole = '0', rest = ''] = (isNegative ? usd.slice(1) : usd).split('.');
	const nano = BigInt(whole + rest.padEnd(NANO_DIGITS, '0').slice(0, NANO_DIGITS));

	return isNegative ? -nano : nano;
}

/* Every digit the server sent: "$9,007,199.254740993". */
export function exactUsd(usd: string): string {
	const isNegative = usd.startsWith('-');
	const [whole = '0', rest = '00'] = (isNegative ? usd.slice(1) : usd).split('.');

	return `${isNegative ? '−' : ''}$${grouped(BigInt(whole))}.${rest}`;
}

/* To the cent, half up. What is there but under a cent does not become nothing. */
export function centsUsd(usd: string): string {
	const nano = nanoOf(usd);
	const size = nano < 0n ? -nano : nano;
	const cents = (size + NANO_PER_CENT / 2n) / NANO_PER_CENT;

	if (size > 0n && cents === 0n)
		return '<$0.01';
	return `${nano < 0n ? '−' : ''}$${grouped(cents / 100n)}.${String(cents % 100n).padStart(2, '0')}`;
}

/* For an axis, whose steps are round: "$1.5K", "$20", "$0.50". */
export function axisUsd(nano: bigint): string {
	for (const [unit, suffix] of [[10n ** 15n, 'M'], [10n ** 12n, 'K']] as const) {
		if (nano >= unit)
			return `$${trimmed(nano, unit)}${suffix}`;
	}
	return `$${trimmed(nano, 10n ** 9n).replace(/\.\d$/, '$&0')}`;
}

function trimmed(value: bigint, unit: bigint): string {
	const rest = String(value % unit).padStart(String(unit).length - 1, '0').replace(/0+$/, '');

	return rest === '' ? String(value / unit) : `${value / unit}.${rest}`;
}
