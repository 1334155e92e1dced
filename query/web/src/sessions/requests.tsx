/* The requests of a session, page by page. */
import { useState } from 'preact/hooks';
import { Failure } from '../api/ask';
import { moreRequests } from '../api/sessions';
import type { SessionDetail, SessionRequest } from '../api/shapes';
import { compact, plural } from '../figures/count';
import { lasting, momentOf } from '../figures/time';
import { Figure } from '../parts/figure';

export function Requests({ id, session }: { id: string; session: SessionDetail }) {
	const [pages, setPages] = useState<SessionDetail[]>([session]);
	const [trouble, setTrouble] = useState('');
	const cursor = pages[pages.length - 1]!.next_cursor;
	const rows = pages.flatMap((page) => page.rows);
	const fetchMore = async () => {
		try {
			setPages([...pages, await moreRequests(id, cursor!)]);
			setTrouble('');
		} catch (error) {
			setTrouble(error instanceof Failure ? error.message : String(error));
		}
	};

	return (
		<section class="panel table-panel" aria-labelledby="requests-title">
			<h2 id="requests-title" class="panel-title table-title">Requests</h2>
			<div class="table-scroll" tabIndex={0} role="region" aria-label="Requests table">
				<table class="table">
					<thead>
						<tr>
							<th scope="col">Time</th>
							<th scope="col">Model</th>
							<th scope="col" class="number">Cost</th>
							<th scope="col" class="number">Input</th>
							<th scope="col" class="number">Output</th>
							<th scope="col" class="number">Cache</th>
							<th scope="col" class="number">Took</th>
							<th scope="col" class="number">Status</th>
						</tr>
					</thead>
					<tbody>{rows.map((row) => <Row key={row.id} row={row} tz={session.window.tz} />)}</tbody>
				</table>
			</div>
			{cursor !== null && <button type="button" class="button more" onClick={fetchMore}>Show more requests</button>}
			{trouble !== '' && <p role="alert" class="trouble">{trouble}</p>}
		</section>
	);
}

function Row({ row, tz }: { row: SessionRequest; tz: string }) {
	const isFailed = row.status === 0 || row.status >= 400;
	const cache = BigInt(row.cache_read_tokens) + BigInt(row.cache_write_tokens);

	return (
		<tr data-request={row.id}>
			<td><time>{momentOf(row.ts, tz)}</time></td>
			<td><bdi>{row.model}</bdi></td>
			<td class="number">
				{row.cost_usd === null
					? <span class="quiet" data-hint="No price is known">–</span>
					: <Figure metric="cost" value={row.cost_usd} />}
			</td>
			<td class="number" data-hint={plural(row.input_tokens, 'token')}>{compact(row.input_tokens)}</td>
			<td class="number" data-hint={plural(row.output_tokens, 'token')}>{compact(row.output_tokens)}</td>
			<td class="number"
				data-hint={`${plural(row.cache_read_tokens, 'token')} read, ${plural(row.cache_write_tokens, 'token')} written`}>
				{compact(cache)}
			</td>
			<td class="number">{row.duration_ms === null ? <span class="quiet">–</span> : lasting(row.duration_ms)}</td>
			<td class="number"><span class={isFailed ? 'failed' : 'quiet'}>{row.status}</span></td>
		</tr>
	);
}
