/* One line of the Team table; it opens to the figures of the person's whole time on the team. */
import { useState } from 'preact/hooks';
import type { TeamMember } from '../api/shapes';
import { grouped } from '../figures/count';
import { centsUsd, exactUsd } from '../figures/money';
import { ago, dayOf, lasting, momentOf, now } from '../figures/time';
import { Avatar } from '../parts/avatar';
import { Icon } from '../parts/icon';
import { Name } from '../parts/name';
import { openedEmails } from './sealed';

const HASH_SHOWN = 16;

/* The plain email, else the one opened here, else the beginning of its hash. */
export function emailOf(member: TeamMember): string {
	return member.email ?? openedEmails.value.get(member.gitEmailHash) ??
		`${member.gitEmailHash.slice(0, HASH_SHOWN)}...`;
}

export function PersonRow({ member, place }: { member: TeamMember; place: number }) {
	const [isOpen, setOpen] = useState(false);
	const email = emailOf(member);
	const opened = openedEmails.value.get(member.gitEmailHash);
	const isNamed = member.displayName !== email && !member.displayName.endsWith('...');
	const name = isNamed ? member.displayName : (opened ?? email);

	return (
		<>
			<tr class="person" data-member={member.gitEmailHash}>
				<td class="number quiet wide-only">{place}</td>
				<th scope="row">
					<span class="person-name">
						<Avatar id={member.gitEmailHash} name={name} />
						<span>
							<Name text={name} />
							{isNamed && <small><bdi>{email}</bdi></small>}
							<small class="phone-only"><Since text={member.lastActive} /></small>
							{member.role === 'admin' && <span class="tag">admin</span>}
						</span>
					</span>
				</th>
				<td class="wide-only"><Day text={member.firstSeen} /></td>
				<td class="wide-only"><Since text={member.lastActive} /></td>
				<td class="number wide-only">{rateOf(member.hourlyRate)}</td>
				<td class="number"><data value={String(member.events)}>{grouped(member.events)}</data></td>
				<td>
					<button type="button" class="button-quiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}
						aria-label={`Figures of ${name}`}>
						<Icon name="chevron" />
					</button>
				</td>
			</tr>
			{isOpen && <tr class="person-more"><td colSpan={7}><Whole member={member} /></td></tr>}
		</>
	);
}

function rateOf(rate: string | null | undefined) {
	return rate ? exactUsd(rate) : <span class="quiet">–</span>;
}

function Day({ text }: { text: string | null }) {
	return text === null ? <span class="quiet">–</span> : <time dateTime={text}>{dayOf(Date.parse(text), 'UTC')}</time>;
}

function Since({ text }: { text: string | null }) {
	if (text === null)
		return <span class="quiet">never</span>;
	const ms = Date.parse(text);

	return <time dateTime={text} data-hint={`${momentOf(ms, 'UTC')} UTC`}>{ago(ms, now.value)}</time>;
}

function Whole({ member }: { member: TeamMember }) {
	const all = [
		['AI cost', member.cost_usd],
		['True cost', member.true_cost_usd],
		['True cost per line', member.true_cost_per_line_usd],
		['Estimated loss', member.estimated_loss_usd],
	] as const;

	return (
		<dl class="totals">
			{all.map(([name, usd]) => (
				<div key={name}>
					<dt>{name}</dt>
					<dd data-hint={usd === null ? 'Not known' : exactUsd(usd)}>{usd === null ? '–' : centsUsd(usd)}</dd>
				</div>
			))}
			<div><dt>Active time</dt><dd>{member.active_ms > 0 ? lasting(member.active_ms) : '–'}</dd></div>
			<div><dt>Lines</dt><dd>{grouped(member.lines)}</dd></div>
			<div class="phone-only"><dt>First seen</dt><dd><Day text={member.firstSeen} /></dd></div>
			<div class="phone-only"><dt>Hourly rate</dt><dd>{rateOf(member.hourlyRate)}</dd></div>
		</dl>
	);
}
