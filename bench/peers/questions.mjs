// What every store is asked. tally chooses the window, which its replies state, and the others are
// asked for the same edges: whole hours but in q6, which has odd minutes.
export const HOUR = 3600000, DAY = 24 * HOUR, MINUTE = 60000;
export const ORGS = 100, TOP = 50, REPOS = 20;

export function questions(endMs) {
	const odd = Math.floor(endMs / HOUR) * HOUR - 41 * DAY + 17 * MINUTE;
	const top = (range) => ({ name: `q1_${range}`, op: 'leaderboard', range, limit: TOP });
	return [
		...['24h', '7d', '30d', '90d'].map(top),
		{ name: 'q4_30d', op: 'top_repos', range: '30d', limit: REPOS },
		{ ...top('custom'), name: 'q6_odd', from: odd, to: odd + 17 * DAY + 23 * MINUTE },
	];
}

export const columns = ['org', 'id', 'ts', 'member', 'agent', 'session', 'model', 'input', 'output',
	'cache_read', 'cache_write', 'cost', 'saved', 'repo', 'pr', 'status'];
export const TOKENS = 'input + output + cache_read + cache_write';

// The hours of a window that are whole, and the two parts of hours at its ends.
export function parts({ from, to }) {
	const first = Math.ceil(from / HOUR), last = Math.floor(to / HOUR);
	return { first, last, edges: [[from, first * HOUR], [last * HOUR, to]].filter(([a, b]) => a < b) };
}

// The figures of rows without the names, in an order that does not depend on them: what is compared.
export function answerOf(question, rows) {
	const width = question.op === 'leaderboard' ? 3 : 1;
	return JSON.stringify(rows.map((row) => row.slice(-width).map(Number))
		.sort((a, b) => b[0] - a[0] || b[1] - a[1]));
}

export function quantile(sorted, share) {
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (values) => quantile([...values].sort((a, b) => a - b), 0.5);
