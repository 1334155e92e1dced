/* What narrows the list of sessions, as tags that go away; agents are a choice. */
import { openedEmails } from '../people/sealed';
import { sessionList } from '../api/sessions';
import { agentName } from '../parts/agent_badge';
import { addressWith, go, type Place } from '../place';

const NAMES = ['member', 'repo', 'pr', 'agent', 'q'] as const;
const AGENTS = ['claude_code', 'codex', 'opencode'];

export type Filters = Partial<Record<(typeof NAMES)[number], string>>;

export function filtersOf({ params }: Place): Filters {
	return Object.fromEntries(NAMES.map((name) => [name, params.get(name)]).filter(([, value]) => value));
}

function memberText(id: string): string {
	const row = sessionList.data.value?.sessions.find((one) => one.member_id === id);

	return openedEmails.value.get(id) ?? row?.display_name ?? `${id.slice(0, 16)}...`;
}

export function Filters({ filters }: { filters: Filters }) {
	const { member, repo, pr, agent } = filters;
	const types = agent === undefined || AGENTS.includes(agent) ? AGENTS : [...AGENTS, agent];

	return (
		<div class="filters">
			<label class="select">
				<span class="unseen">Agent</span>
				<select value={agent ?? ''} onChange={(event) => go(addressWith({ agent: event.currentTarget.value }))}>
					<option value="">Every agent</option>
					{types.map((type) => <option key={type} value={type}>{agentName(type)}</option>)}
				</select>
			</label>
			{member !== undefined && <Tag what="member" text={memberText(member)} without={{ member: undefined }} />}
			{repo !== undefined && (
				<Tag what="repository" text={pr === undefined ? repo : `${repo}#${pr}`} without={{ repo: undefined, pr: undefined }} />
			)}
		</div>
	);
}

function Tag({ what, text, without }: { what: string; text: string; without: Record<string, undefined> }) {
	return (
		<a class="filter" href={addressWith(without)} aria-label={`${what} ${text}: leave this filter`}>
			<span class="quiet">{what}</span> <bdi>{text}</bdi> <span aria-hidden="true">×</span>
		</a>
	);
}
