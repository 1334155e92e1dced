/* What the Team screen was asked to show, as its address says. */
import { METRICS, type Metric } from '../figures/metric';
import type { Place } from '../place';

export type Range = '24h' | '7d' | '30d' | '90d' | 'custom';

export const RANGES: readonly { value: Range; label: string; hint?: string }[] = [
	{ value: '24h', label: '24h', hint: 'Last 24 hours, by hour' },
	{ value: '7d', label: '7d', hint: 'Last 7 days, in quarters of a day' },
	{ value: '30d', label: '30d', hint: 'Last 30 days' },
	{ value: '90d', label: '90d', hint: 'Last 90 days' },
	{ value: 'custom', label: 'Custom', hint: 'From one moment to another' },
];

export interface View {
	range: Range;
	from: string;
	to: string;
	sort: Metric;
	shown: number;
}

export const SHOWN = 48;

export function viewOf({ params }: Place): View {
	const range = RANGES.find((one) => one.value === params.get('range'))?.value ?? '7d';
	const sort = METRICS.find((one) => one.value === params.get('sort'))?.value ?? 'cost';
	const shown = Number(params.get('show'));

	return {
		range, sort, from: params.get('from') ?? '', to: params.get('to') ?? '',
		shown: Number.isInteger(shown) && shown > SHOWN ? Math.min(shown, 1000) : SHOWN,
	};
}

/* A custom range without both ends is not asked for yet. */
export function isAskable(view: View): boolean {
	return view.range !== 'custom' || (view.from !== '' && view.to !== '');
}

/* As the API wants it. */
export function windowParams(view: View): Record<string, string> {
	return view.range === 'custom' ? { from: view.from, to: view.to } : { range: view.range };
}

export function questionOf(view: View): string {
	return new URLSearchParams({
		...windowParams(view), metric: view.sort, limit: String(view.shown),
	}).toString();
}

/* The range of a question, as the page of sessions wants it. */
export function sessionParams(question: string): string {
	const asked = new URLSearchParams(question);
	const range = asked.get('range') ?? 'custom';

	return new URLSearchParams(range === 'custom'
		? { range, from: asked.get('from') ?? '', to: asked.get('to') ?? '' }
		: { range }).toString();
}
