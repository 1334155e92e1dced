/* The three things a team is ranked by, and how each one's values read. */
import { axisUsd, centsUsd, exactUsd, nanoOf } from './money';
import { compact, grouped, type Count } from './count';

export type Metric = 'cost' | 'tokens' | 'requests';

/* Dollars as decimal text when the metric is cost, else a count. */
export type Value = string | Count;

export const METRICS: readonly { value: Metric; label: string }[] = [
	{ value: 'cost', label: 'Cost' },
	{ value: 'tokens', label: 'Tokens' },
	{ value: 'requests', label: 'Requests' },
];

export function labelOf(metric: Metric): string {
	return METRICS.find((one) => one.value === metric)!.label;
}

/* In whole units: nano-dollars, tokens, requests. */
export function wholeOf(value: Value): bigint {
	return typeof value === 'string' ? nanoOf(value) : BigInt(value);
}

export function shortOf(value: Value): string {
	return typeof value === 'string' ? centsUsd(value) : compact(value);
}

export function exactOf(metric: Metric, value: Value): string {
	if (typeof value === 'string')
		return exactUsd(value);
	return `${grouped(value)} ${BigInt(value) === 1n ? metric.replace(/s$/, '') : metric}`;
}

/* A round step of an axis, in whole units. */
export function axisOf(metric: Metric, whole: bigint): string {
	return metric === 'cost' ? axisUsd(whole) : compact(whole);
}
