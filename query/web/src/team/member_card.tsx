/* A member of the team: who, with which agents, how much, and how it went over the range. */
import { AgentBadge } from '../parts/agent_badge';
import { Avatar } from '../parts/avatar';
import { Figure } from '../parts/figure';
import { Icon } from '../parts/icon';
import { Name } from '../parts/name';
import { Spark } from '../parts/spark';
import type { Charted, Member } from '../api/shapes';
import { grouped, percent, plural } from '../figures/count';
import { exactUsd } from '../figures/money';
import { exactOf, labelOf, type Metric } from '../figures/metric';
import { ago, now } from '../figures/time';
import { nameOf } from '../people/names';

const BADGES = { gold: 'First', silver: 'Second', bronze: 'Third' };

interface Props {
	member: Member;
	/* The same member as the held order has it: rank and movement do not change under the eye. */
	placed: Member;
	metric: Metric;
	href: string;
	/* There was usage in the range before. */
	compares: boolean;
}

export function MemberCard({ member, placed, metric, href, compares }: Props) {
	const name = nameOf(member);

	return (
		<li class="card member" data-member={member.member_id}>
			<header>
				<Avatar id={member.member_id} name={name} />
				<div class="member-who">
					<h3 data-hint={allOf(member, metric)}><a class="cover" href={href}><Name text={name} /></a></h3>
					<Activity member={member} />
				</div>
				<Rank placed={placed} compares={compares} />
			</header>
			<div class="member-figures">
				<Figure class={`figure-large ${member.rank === null ? 'quiet' : ''}`} metric={metric} value={member.value}
					label={labelOf(metric)} />
				{member.rank !== null && (
					<span class="quiet" data-hint="Share of the whole team">{percent(member.share_ppm)}</span>
				)}
			</div>
			<Spark values={member.spark} />
			<footer class="agents">
				{member.agents.map((agent, i) => <AgentBadge key={i} agent={agent} />)}
				{member.agents.length === 0 && <span class="quiet">No agents</span>}
			</footer>
		</li>
	);
}

/* Everything a card rounds, in full. */
function allOf(member: Member, metric: Metric): string {
	return [
		nameOf(member),
		`${labelOf(metric)}: ${exactOf(metric, member.value)}`,
		`${exactUsd(member.cost_usd)} · ${plural(member.tokens, 'token')}`,
		`${plural(member.requests, 'request')} · ${plural(member.sessions, 'session')}`,
		`${grouped(member.errors)} failed · ${exactUsd(member.saved_usd)} saved`,
	].join('\n');
}

function Activity({ member }: { member: Member }) {
	if (member.removed)
		return <p class="activity">removed from the team</p>;
	if (member.active_now)
		return <p class="activity activity-now"><i class="pulse" />active now</p>;
	if (member.last_used_ms === null)
		return <p class="activity">never used</p>;
	return <p class="activity">{ago(member.last_used_ms, now.value)}</p>;
}

function Rank({ placed, compares }: { placed: Member; compares: boolean }) {
	if (placed.rank === null)
		return <span class="rank rank-none" data-hint="No usage in this range">–</span>;
	return (
		<span class="rank-place">
			{compares && <Movement placed={placed} />}
			<span class={`rank ${placed.badge === null ? '' : `rank-${placed.badge}`}`}
				data-hint={placed.badge === null ? undefined : `${BADGES[placed.badge]} in this range`}>
				<span class="unseen">Rank </span>{placed.rank}
			</span>
		</span>
	);
}

function Movement({ placed }: { placed: Member }) {
	const { rank, prev_rank: before } = placed;

	if (rank === null || before === rank)
		return null;
	if (before === null)
		return <span class="movement movement-new" data-hint="Not ranked in the range before">new</span>;
	return (
		<span class={`movement movement-${rank < before ? 'up' : 'down'}`} data-hint={`Rank ${before} in the range before`}>
			<Icon name={rank < before ? 'up' : 'down'} />
			<span class="unseen">{rank < before ? 'up by ' : 'down by '}</span>{Math.abs(before - rank)}
		</span>
	);
}

/* With it the cards add up to the org. */
export function UnattributedCard({ rest, metric }: { rest: Charted; metric: Metric }) {
	return (
		<li class="card member">
			<header>
				<Avatar id="" name="?" />
				<div class="member-who">
					<h3>Unattributed</h3>
					<p class="activity">usage that names nobody</p>
				</div>
			</header>
			<div class="member-figures">
				<Figure class="figure-large" metric={metric} value={rest.value} label={labelOf(metric)} />
			</div>
			<Spark values={rest.spark} />
		</li>
	);
}

export function PendingCard({ member }: { member: Member }) {
	const name = nameOf(member);

	return (
		<li class="card member member-pending" data-member={member.member_id}>
			<header>
				<Avatar id={member.member_id} name={name} />
				<div class="member-who">
					<h3><Name text={name} /></h3>
					<p class="activity">invited as {member.role}</p>
				</div>
				<span class="tag">Pending</span>
			</header>
			<p class="quiet member-pending-text">Has not accepted the invitation yet.</p>
		</li>
	);
}
