/* Counts. Sums of tokens may pass 2^53; then they arrive as bigint (api/exact). */
export type Count = number | bigint;

const UNITS = [
	[10n ** 3n, 'K'],
	[10n ** 6n, 'M'],
	[10n ** 9n, 'B'],
	[10n ** 12n, 'T'],
] as const;

/* "534,313,685" */
export function grouped(count: Count): string {
	return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/* "534.3M"; up to 9,999 all digits. */
export function compact(count: Count): string {
	const value = BigInt(count);

	if (value < 10_000n)
		return grouped(value);
	for (const [unit, suffix] of UNITS) {
		const tenths = (value * 10n + unit / 2n) / unit;
		const whole = (value + unit / 2n) / unit;

		if (tenths < 1000n)
			return `${tenths / 10n}.${tenths % 10n}${suffix}`;
		if (whole < 1000n || suffix === 'T')
			return `${grouped(whole)}${suffix}`;
	}
	return grouped(value);
}

export function plural(count: Count, one: string, many = `${one}s`): string {
	return `${grouped(count)} ${BigInt(count) === 1n ? one : many}`;
}

/* Parts per million as "48.7 %". */
export function percent(ppm: number): string {
	if (ppm > 0 && ppm < 1000)
		return '<0.1 %';
	return `${Math.floor(ppm / 10_000)}.${Math.floor(ppm / 1000) % 10} %`;
}
