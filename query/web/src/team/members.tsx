/* The ranked team, as cards. */
import type { TeamScreen } from '../api/team';
import { grouped } from '../figures/count';
import { wholeOf } from '../figures/metric';
import { addressWith, go, place } from '../place';
import { Empty } from '../parts/state';
import { useHeldOrder } from './held_order';
import { MemberCard, PendingCard, UnattributedCard } from './member_card';
import { SHOWN, sessionParams } from './view';

/* With more to come nobody counted them all. */
function countOf({ members, next_cursor: cursor }: TeamScreen): string {
	return cursor === null ? grouped(members.length) : `first ${grouped(members.length)}`;
}

export function Members({ screen, question }: { screen: TeamScreen; question: string }) {
	const { rows, isOld, renew } = useHeldOrder(question, screen.members, (member) => member.member_id);
	const compares = screen.org.prev_value !== null && wholeOf(screen.org.prev_value) > 0n;
	const sessionsOf = (id: string) => `/dashboard/sessions?${sessionParams(question)}&member=${id}`;

	return (
		<section class="grid-section" aria-labelledby="members-title">
			<h2 id="members-title" class="section-title">
				Members<span class="quiet">{countOf(screen)}</span>
			</h2>
			{rows.length === 0 && (
				<div class="panel">
					<Empty icon="seats" title="Nobody is on the team yet">
						People appear with their first request. <code>tally push</code> or a gateway brings it.
					</Empty>
				</div>
			)}
			{!screen.me.sees_peers && <p class="quiet section-note">Your org shows each member the own figures.</p>}
			<ol class="cards">
				{/* By place: another order then changes texts, and makes no cards. */}
				{rows.filter(({ row }) => !row.pending).map(({ row, placed }, i) =>
					<MemberCard key={i} member={row} placed={placed} metric={screen.metric}
						href={sessionsOf(row.member_id)} compares={compares} />)}
				{screen.unattributed !== null && BigInt(screen.unattributed.requests) > 0n && (
					<UnattributedCard rest={screen.unattributed} metric={screen.metric} />
				)}
				{rows.filter(({ row }) => row.pending).map(({ row }) => <PendingCard key={row.member_id} member={row} />)}
			</ol>
			{screen.next_cursor !== null && (
				<button type="button" class="button more"
					onClick={() => go(addressWith({ show: String(screen.members.length + 4 * SHOWN) }, place.peek()), 'replace')}>
					Show more members
				</button>
			)}
			{isOld && (
				<button type="button" class="pill" onClick={renew}>The ranking changed. Show the new one</button>
			)}
			<span class="unseen" role="status">{isOld ? 'The ranking changed.' : ''}</span>
		</section>
	);
}
