/* What the Team screen shows, in one request; and the next page of its lists. */
import { ask, type Params } from './ask';
import { Source } from './source';
import type { Charted, Head, Me, Member, Page, PullCard, RepoCard, Seats, TopRepo } from './shapes';
import type { Value } from '../figures/metric';

export interface TeamScreen extends Head {
	me: Me;
	org: Charted & { name: string; tz: string; prev_value: Value | null };
	bars: Value[];
	members: Member[];
	/* Not for members who see only themselves. */
	unattributed: Charted | null;
	top_repos: { state: 'ok' | 'no_activity' | 'not_connected'; repos: TopRepo[] } & Page;
	repos: RepoCard[];
	repos_page: Page;
	pulls: PullCard[];
	pulls_page: Page;
	seats: Seats;
}

function paramsOf(question: string): Params {
	return Object.fromEntries(new URLSearchParams(question));
}

/* question: range, metric and limit as the query of an address. */
export const teamScreen = new Source<TeamScreen>((question, signal) =>
	ask<TeamScreen>('/dashboard', paramsOf(question), signal));

export function moreRepos(question: string, cursor: string): Promise<Page & { repos: RepoCard[] }> {
	return ask('/repos', { ...paramsOf(question), limit: 48, cursor });
}

export function morePulls(question: string, cursor: string): Promise<Page & { pulls: PullCard[] }> {
	return ask('/pulls', { ...paramsOf(question), limit: 48, cursor });
}
