/* What is drawn: shares of a largest value, as small whole numbers. Figures are never drawn from these. */
export const FULL = 1_000_000;

/* Each value as a share of top, 0..FULL. */
export function sharesOf(values: readonly bigint[], top: bigint): number[] {
	if (top <= 0n)
		return values.map(() => 0);
	return values.map((value) => Number((value * BigInt(FULL)) / top));
}

export function largest(values: readonly bigint[]): bigint {
	return values.reduce((most, value) => (value > most ? value : most), 0n);
}

/* Round steps that reach over top: 3 to 5 of them, each 1, 2, 2.5 or 5 times a power of ten. */
export function stepsOver(top: bigint): bigint[] {
	const step = stepFor(top);
	const steps = [0n];

	while (steps[steps.length - 1]! < top)
		steps.push(steps[steps.length - 1]! + step);
	return steps;
}

function stepFor(top: bigint): bigint {
	for (let power = 1n; ; power *= 10n) {
		for (const [times, over] of [[1n, 1n], [2n, 1n], [5n, 2n], [5n, 1n]] as const) {
			const step = (power * times) / over;

			if (step * over === power * times && step * 4n >= top)
				return step;
		}
	}
}
