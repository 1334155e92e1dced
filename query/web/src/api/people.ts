/* The team as a table: one request, with seats. */
import { ask } from './ask';
import { Source } from './source';
import type { Page, Seats, TeamMember } from './shapes';

export type Team = Seats & Partial<Page> & { members: TeamMember[] };

const PAGE_ROWS = 1000;

async function allPages(signal: AbortSignal): Promise<Team> {
	const team = await ask<Team>('/team', { limit: PAGE_ROWS }, signal);

	while (team.next_cursor) {
		const next = await ask<Team>('/team', { limit: PAGE_ROWS, cursor: team.next_cursor }, signal);

		team.members.push(...next.members);
		team.next_cursor = next.next_cursor ?? null;
	}
	return team;
}

export const teamTable = new Source<Team>((_question, signal) => allPages(signal));
