/* An agent of a member: which, and when it last worked. */
import { ago, now } from '../figures/time';
import type { Agent } from '../api/shapes';

const KNOWN: Record<string, string> = {
	claude_code: 'Claude Code',
	codex: 'Codex',
	opencode: 'OpenCode',
};

export function agentName(type: string): string {
	return KNOWN[type] ?? type;
}

export function AgentBadge({ agent }: { agent: Agent }) {
	const used = agent.last_used_ms === null ? 'never used' : `used ${ago(agent.last_used_ms, now.value)}`;
	const name = agentName(agent.type);

	return (
		<span class={`agent agent-${agent.type in KNOWN ? agent.type : 'other'}`}
			data-unused={agent.never_used ? '' : undefined} data-hint={`${name}, ${used}`}>
			<i />
			<span class="agent-name">{name}</span>
			{agent.never_used && <small>never used</small>}
		</span>
	);
}
