// What every store is asked, over the same edges. Hours are whole but in q6, which has odd minutes.
export const HOUR = 3600000, DAY = 24 * HOUR, MINUTE = 60000;
export const ORGS = 100, TOP = 50, REPOS = 20;

export function questions(endMs) {
	const end = Math.floor(endMs / HOUR) * HOUR;
	const odd = end - 41 * DAY + 17 * MINUTE;
	return [
		{ name: 'q1_24h', kind: 'top', from: end - DAY, to: end },
		{ name: 'q1_7d', kind: 'top', from: end - 7 * DAY, to: end },
		{ name: 'q1_30d', kind: 'top', from: end - 30 * DAY, to: end },
		{ name: 'q1_90d', kind: 'top', from: end - 90 * DAY, to: end },
		{ name: 'q4_30d', kind: 'repos', from: end - 30 * DAY, to: end },
		{ name: 'q6_odd', kind: 'top', from: odd, to: odd + 17 * DAY + 23 * MINUTE },
	];
}

export const columns = ['org', 'id', 'ts', 'member', 'agent', 'session', 'model', 'input', 'output',
	'cache_read', 'cache_write', 'cost', 'saved', 'repo', 'pr', 'status'];
export const TOKENS = 'input + output + cache_read + cache_write';

// The hours of a window that are whole, and the two parts of hours at its ends.
export function parts(question) {
	const first = Math.ceil(question.from / HOUR), last = Math.floor(question.to / HOUR);
	return { first, last, edges: [[question.from, first * HOUR], [last * HOUR, question.to]]
		.filter(([from, to]) => from < to) };
}

// The same shape for every store: what is compared.
export function answerOf(question, rows) {
	return question.kind === 'top'
		? rows.map((row) => row.slice(-3).map(Number)).sort((a, b) => b[0] - a[0] || b[1] - a[1])
		: rows.map((row) => Number(row.at(-1))).sort((a, b) => b - a);
}

export function quantile(sorted, share) {
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
