/* The Team table: who is on the team, since when, and how much they did in all. Read-only. */
import { useEffect } from 'preact/hooks';
import { teamTable, type Team } from '../api/people';
import type { TeamMember } from '../api/shapes';
import { grouped } from '../figures/count';
import { Empty, Failed, Skeleton } from '../parts/state';
import { SearchField } from '../parts/search_field';
import { place } from '../place';
import { PersonRow } from './person_row';
import { openedEmails } from './sealed';
import { Unlock } from './unlock';

export function PeopleScreen() {
	const team = teamTable.data.value;
	const failure = teamTable.failure.value;

	useEffect(() => {
		teamTable.ask('team');
		return () => teamTable.leave();
	}, []);
	return (
		<>
			<div class="toolbar">
				<h1 tabIndex={-1}>Team table</h1>
				<SearchField name="q" label="Find somebody" />
			</div>
			{failure !== null && (
				<div class="panel"><Failed failure={failure} again={() => void teamTable.again()} /></div>
			)}
			{team === null && failure === null && <div class="panel"><Skeleton rows={8} class="skeleton-row" /></div>}
			{team !== null && <People team={team} />}
		</>
	);
}

function matches(member: TeamMember, text: string): boolean {
	const name = openedEmails.value.get(member.gitEmailHash) ?? '';

	return [member.displayName, member.email ?? '', name, member.gitEmailHash]
		.some((one) => one.toLowerCase().includes(text));
}

function People({ team }: { team: Team }) {
	const text = (place.value.params.get('q') ?? '').trim().toLowerCase();
	const rows = team.members.map((member, i) => ({ member, place: i + 1 }))
		.filter(({ member }) => matches(member, text));
	const sealed = team.members.filter((member) => member.emailEnc !== undefined)
		.map((member) => ({ member_id: member.gitEmailHash, email_enc: member.emailEnc! }));

	return (
		<>
			{sealed.length > 0 && <Unlock sealed={sealed} />}
			<section class="panel table-panel" aria-label="Team">
				{team.members.length === 0 && (
					<Empty icon="seats" title="Nobody is on the team yet">People appear with their first request.</Empty>
				)}
				{team.members.length > 0 && rows.length === 0 && <Empty icon="search" title="Nobody matches" />}
				{rows.length > 0 && (
					<div class="table-scroll" tabIndex={0} role="region" aria-label="Team table">
						<table class="table people">
							<thead>
								<tr>
									<th scope="col" class="number wide-only">#</th>
									<th scope="col">Member</th>
									<th scope="col" class="wide-only">First seen</th>
									<th scope="col" class="wide-only">Last active</th>
									<th scope="col" class="number wide-only">Hourly rate</th>
									<th scope="col" class="number">Events</th>
									<th scope="col"><span class="unseen">Figures</span></th>
								</tr>
							</thead>
							<tbody>
								{rows.map(({ member, place: at }) => <PersonRow key={member.gitEmailHash} member={member} place={at} />)}
							</tbody>
						</table>
					</div>
				)}
			</section>
			<p class="quiet table-end" role="status">
				{rows.length === team.members.length
					? `${grouped(rows.length)} on the team`
					: `${grouped(rows.length)} of ${grouped(team.members.length)} shown`}
			</p>
		</>
	);
}
