/* The org's total, how it went, and what else is worth a look in the morning. */
import { Chart } from '../parts/chart';
import { Figure } from '../parts/figure';
import type { TeamScreen } from '../api/team';
import { compact, grouped, percent, plural } from '../figures/count';
import { centsUsd, exactUsd } from '../figures/money';
import { exactOf, labelOf, wholeOf } from '../figures/metric';
import { momentOf } from '../figures/time';
import type { Range } from './view';

const OVER: Record<Range, string> = {
	'24h': 'last 24 hours', '7d': 'last 7 days', '30d': 'last 30 days', '90d': 'last 90 days',
	custom: 'custom range',
};

export function Overview({ screen }: { screen: TeamScreen }) {
	const { org, metric, window } = screen;

	return (
		<section class="panel overview" aria-labelledby="overview-title">
			<header class="overview-head">
				<div>
					<h2 id="overview-title" class="panel-title">{labelOf(metric)}, {OVER[window.range as Range]}</h2>
					<p class="overview-total">
						<Figure class="figure-huge" metric={metric} value={org.value} label="The whole org" />
						<Change screen={screen} />
					</p>
				</div>
				<Totals screen={screen} />
			</header>
			<Chart label={`${labelOf(metric)} of the whole org over time`} window={window} metric={metric}
				bars={screen.bars} />
			<p class="overview-zone quiet">
				Times are {window.tz.replace('_', ' ')}. Figures as of {momentOf(screen.as_of_ms, window.tz)}.
				{BigInt(org.unpriced) > 0n && (
					<strong class="overview-unpriced">
						{' '}{plural(org.unpriced, 'request')} without a known price: not in the cost.
					</strong>
				)}
			</p>
		</section>
	);
}

const BEFORE: Record<Range, string> = {
	'24h': 'the 24 hours before', '7d': 'the 7 days before', '30d': 'the 30 days before',
	'90d': 'the 90 days before', custom: 'as long before',
};

/* Against the range before, of the same length. */
function Change({ screen }: { screen: TeamScreen }) {
	const { org, metric, window } = screen;

	if (org.prev_value === null)
		return null;
	const before = wholeOf(org.prev_value);
	const difference = wholeOf(org.value) - before;
	const hint = `The range before: ${exactOf(metric, org.prev_value)}`;

	if (before === 0n)
		return null;
	const tenths = (difference * 1000n) / before;
	const size = tenths < 0n ? -tenths : tenths;

	return (
		<span class="change" data-hint={hint}>
			{difference < 0n ? '−' : '+'}{grouped(size / 10n)}.{String(size % 10n)} %
			<span class="quiet"> against {BEFORE[window.range as Range]}</span>
		</span>
	);
}

function Totals({ screen: { org, metric } }: { screen: TeamScreen }) {
	const all = [
		{ of: 'cost', name: 'Cost', short: centsUsd(org.cost_usd), exact: exactUsd(org.cost_usd) },
		...(wholeOf(org.cost_plan_usd) > 0n ? [
			{ of: 'plan', name: 'In plans', short: centsUsd(org.cost_plan_usd), exact: `${exactUsd(org.cost_plan_usd)} of the cost is covered by subscriptions` },
		] : []),
		{ of: 'tokens', name: 'Tokens', short: compact(org.tokens), exact: plural(org.tokens, 'token') },
		{ of: 'requests', name: 'Requests', short: compact(org.requests), exact: plural(org.requests, 'request') },
		{ of: 'sessions', name: 'Sessions', short: compact(org.sessions), exact: plural(org.sessions, 'session') },
		{
			of: 'saved', name: 'Saved', short: centsUsd(org.saved_usd),
			exact: `${exactUsd(org.saved_usd)} and ${plural(org.saved_tokens, 'token')}, ${percent(org.saved_ppm)} of all`,
		},
		{ of: 'errors', name: 'Failed', short: compact(org.errors), exact: `${plural(org.errors, 'request')} failed` },
	].filter((one) => one.of !== metric);

	return (
		<dl class="totals">
			{all.map(({ name, short, exact }) => (
				<div key={name}><dt>{name}</dt><dd data-hint={exact}>{short}</dd></div>
			))}
		</dl>
	);
}
