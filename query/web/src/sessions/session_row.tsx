/* A line of the list. The whole line leads to the session; member and repository narrow the list. */
import type { Session } from '../api/shapes';
import { compact, grouped, plural } from '../figures/count';
import { ago, momentOf, now } from '../figures/time';
import { agentName } from '../parts/agent_badge';
import { Figure } from '../parts/figure';
import { Name } from '../parts/name';
import { RepoName } from '../parts/repo_name';
import { openedEmails } from '../people/sealed';
import { addressWith } from '../place';

export function memberOf(row: Session): string {
	if (row.member_id === null)
		return 'unattributed';
	return openedEmails.value.get(row.member_id) ?? row.display_name!;
}

export function SessionRow({ row, tz }: { row: Session; tz: string }) {
	return (
		<tr data-session={row.session}>
			<th scope="row">
				<a class="session-link" href={`/dashboard/sessions/${encodeURIComponent(row.session)}`}>
					<bdi>{row.name ?? row.session}</bdi>
				</a>
				{row.name !== null && <small class="mono wide-only">{row.session}</small>}
				<small class="phone-only"><bdi>{memberOf(row)}</bdi>, {ago(row.last_ms, now.value)}</small>
				{row.repo !== null && <small class="phone-only"><RepoName repo={row.repo} /> {pullsOf(row)}</small>}
			</th>
			<td class="wide-only">
				{row.member_id === null
					? <span class="quiet">{memberOf(row)}</span>
					: <a class="plain" href={addressWith({ member: row.member_id })}><Name text={memberOf(row)} /></a>}
			</td>
			<td class="wide-only">{row.agent === null ? <span class="quiet">–</span> : <bdi class="narrow">{agentName(row.agent)}</bdi>}</td>
			<td class="wide-only">
				{row.repo === null
					? <span class="quiet">–</span>
					: <a class="plain" href={addressWith({ repo: row.repo, pr: undefined })}><RepoName repo={row.repo} /></a>}
				<span class="quiet"> {pullsOf(row)}</span>
			</td>
			<td class="number"><Figure metric="cost" value={row.cost_usd} /></td>
			<td class="number wide-only"><data value={String(row.tokens)} data-hint={plural(row.tokens, 'token')}>{compact(row.tokens)}</data></td>
			<td class="number wide-only">{grouped(row.requests)}</td>
			<td class="number wide-only"><span class={Number(row.errors) > 0 ? 'failed' : 'quiet'}>{grouped(row.errors)}</span></td>
			<td class="wide-only"><time data-hint={momentOf(row.last_ms, tz)}>{ago(row.last_ms, now.value)}</time></td>
		</tr>
	);
}

function pullsOf({ pulls }: Session): string {
	const [first, ...rest] = pulls;

	return first === undefined ? '' : `#${first.number}${rest.length > 0 ? ` +${rest.length}` : ''}`;
}
