/* The grids of repositories and pull requests, and their next pages. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Failure } from '../api/ask';
import type { Page, PullCard, RepoCard, Totals } from '../api/shapes';
import { compact, grouped, percent, plural } from '../figures/count';
import { centsUsd, exactUsd } from '../figures/money';
import { labelOf, type Metric, type Value } from '../figures/metric';
import { ago, momentOf, now } from '../figures/time';
import { Figure } from '../parts/figure';
import { RepoName, safeUrl } from '../parts/repo_name';
import { Spark } from '../parts/spark';

interface GridProps<T> {
	question: string;
	title: string;
	empty: ComponentChildren;
	rows: readonly T[];
	page: Page;
	more: (cursor: string) => Promise<{ rows: T[]; page: Page }>;
	keyOf: (row: T) => string;
	draw: (row: T) => ComponentChildren;
}

/* Later pages are as they were when they were asked for; the first follows the live figures. */
export function CardGrid<T>({ question, title, empty, rows, page, more, keyOf, draw }: GridProps<T>) {
	const [fetched, setFetched] = useState<{ question: string; rows: T[]; page: Page } | null>(null);
	const later = fetched?.question === question ? fetched : null;
	const [trouble, setTrouble] = useState('');
	const id = `grid-${title.replace(/ /g, '-')}`;
	const shown = new Map([...rows, ...(later?.rows ?? [])].map((row) => [keyOf(row), row]));
	const cursor = later === null ? page.next_cursor : later.page.next_cursor;
	const fetchMore = async () => {
		try {
			const next = await more(cursor!);

			setFetched({ question, rows: [...(later?.rows ?? []), ...next.rows], page: next.page });
			setTrouble('');
		} catch (error) {
			setTrouble(error instanceof Failure ? error.message : String(error));
		}
	};

	return (
		<section class="grid-section" aria-labelledby={id}>
			<h2 id={id} class="section-title">{title}</h2>
			{shown.size === 0
				? <div class="panel">{empty}</div>
				: <ul class="cards">{[...shown.values()].map((row, i) => <li key={i} class="card work">{draw(row)}</li>)}</ul>}
			{cursor !== null && <button type="button" class="button more" onClick={fetchMore}>Show more</button>}
			{trouble !== '' && <p role="alert" class="trouble">{trouble}</p>}
		</section>
	);
}

interface WorkProps {
	url: string;
	title: ComponentChildren;
	metric: Metric;
	value: Value;
	spark: Value[];
	totals: Totals;
	last: number;
	tz: string;
	children?: ComponentChildren;
}

/* What both kinds of card have. */
function Work({ url, title, metric, value, spark, totals, last, tz, children }: WorkProps) {
	return (
		<>
			<header class="work-head">
				<h3><a class="cover" href={safeUrl(url)} target="_blank" rel="noopener noreferrer">{title}</a></h3>
				<span class="quiet" data-hint={momentOf(last, tz)}>{ago(last, now.value)}</span>
			</header>
			<div class="work-value">
				<Figure class="figure-large" metric={metric} value={value} label={labelOf(metric)} />
				{children}
			</div>
			<Spark values={spark} />
			<dl class="work-totals">
				{metric !== 'cost' && <Total name="Cost" short={centsUsd(totals.cost_usd)} exact={exactUsd(totals.cost_usd)} />}
				<Total name="Sessions" short={compact(totals.sessions)} exact={plural(totals.sessions, 'session')} />
				{metric !== 'tokens' && <Total name="Tokens" short={compact(totals.tokens)} exact={plural(totals.tokens, 'token')} />}
				{metric !== 'requests' && <Total name="Requests" short={compact(totals.requests)} exact={plural(totals.requests, 'request')} />}
				<Total name="Saved" short={centsUsd(totals.saved_usd)}
					exact={`${exactUsd(totals.saved_usd)} and ${grouped(totals.saved_tokens)} tokens, ${percent(totals.saved_ppm)}`} />
			</dl>
		</>
	);
}

function Total({ name, short, exact }: { name: string; short: string; exact: string }) {
	return <div><dt>{name}</dt><dd data-hint={exact}>{short}</dd></div>;
}

export function RepoWork({ card, metric, tz }: { card: RepoCard; metric: Metric; tz: string }) {
	return (
		<Work url={card.url} title={<RepoName repo={card.repo} />} metric={metric} value={card.value}
			spark={card.spark} totals={card} last={card.last_activity_ms} tz={tz} />
	);
}

export function PullWork({ card, metric, tz }: { card: PullCard; metric: Metric; tz: string }) {
	const share = { cost: card.split.cost_usd, tokens: card.split.tokens, requests: card.split.requests }[metric];

	return (
		<Work url={card.url} metric={metric} value={card.value} spark={card.spark} totals={card.touched}
			last={card.last_activity_ms} tz={tz}
			title={<><RepoName repo={card.repo} /><span class="work-number">#{card.number}</span></>}>
			{String(share) !== String(card.value) && (
				<span class="quiet">
					<Figure metric={metric} value={share} label="Its equal share of sessions that touched several" /> as its share
				</span>
			)}
		</Work>
	);
}
