/* The sessions that were active in a range, filtered, newest first. */
import { useEffect, useState } from 'preact/hooks';
import { Failure } from '../api/ask';
import { moreSessions, sessionList, type SessionList } from '../api/sessions';
import { RangePicker } from '../parts/range_picker';
import { SearchField } from '../parts/search_field';
import { Empty, Failed, Skeleton } from '../parts/state';
import { place } from '../place';
import { isAskable, viewOf, windowParams } from '../team/view';
import { Filters, filtersOf } from './filters';
import { SessionRow } from './session_row';

const PAGE_ROWS = 50;

export function SessionsScreen() {
	const view = viewOf(place.value);
	const filters = filtersOf(place.value);
	const question = new URLSearchParams({
		...windowParams(view), ...filters, limit: String(PAGE_ROWS),
	}).toString();
	const answer = sessionList.answer.value;
	const failure = sessionList.failure.value;

	useEffect(() => {
		if (isAskable(view))
			sessionList.ask(question);
	}, [question]);
	useEffect(() => () => sessionList.leave(), []);
	return (
		<>
			<div class="toolbar">
				<h1 tabIndex={-1}>Sessions</h1>
				<RangePicker view={view} tz={answer?.data.window.tz ?? 'UTC'} />
				<SearchField name="q" label="Find by name or id" />
			</div>
			<Filters filters={filters} />
			{failure !== null && (
				<div class="panel"><Failed failure={failure} again={() => void sessionList.again()} /></div>
			)}
			{answer === null && failure === null && <div class="panel"><Skeleton rows={10} class="skeleton-row" /></div>}
			{answer !== null && failure === null && (
				<div aria-busy={answer.question !== question}>
					<List key={answer.question} question={answer.question} list={answer.data} />
				</div>
			)}
		</>
	);
}

function List({ question, list }: { question: string; list: SessionList }) {
	const [later, setLater] = useState<SessionList[]>([]);
	const [trouble, setTrouble] = useState('');
	const pages = [list, ...later];
	const rows = pages.flatMap((page) => page.sessions);
	const cursor = pages[pages.length - 1]!.next_cursor;
	const fetchMore = async () => {
		try {
			setLater([...later, await moreSessions(question, cursor!)]);
			setTrouble('');
		} catch (error) {
			setTrouble(error instanceof Failure ? error.message : String(error));
		}
	};

	if (rows.length === 0)
		return <div class="panel"><Empty icon="search" title="No sessions in this period">Another range or fewer filters may have some.</Empty></div>;
	return (
		<section class="panel table-panel" aria-label="Sessions">
			<div class="table-scroll" tabIndex={0} role="region" aria-label="Sessions table">
				<table class="table sessions">
					<thead>
						<tr>
							<th scope="col">Session</th>
							<th scope="col" class="wide-only">Member</th>
							<th scope="col" class="wide-only">Agent</th>
							<th scope="col" class="wide-only">Repository</th>
							<th scope="col" class="number">Cost</th>
							<th scope="col" class="number wide-only">Tokens</th>
							<th scope="col" class="number wide-only">Requests</th>
							<th scope="col" class="number wide-only">Failed</th>
							<th scope="col" class="wide-only">Last active</th>
						</tr>
					</thead>
					<tbody>
						{rows.map((row) => <SessionRow key={row.session} row={row} tz={list.window.tz} />)}
					</tbody>
				</table>
			</div>
			{cursor !== null && <button type="button" class="button more" onClick={fetchMore}>Show more</button>}
			{trouble !== '' && <p role="alert" class="trouble">{trouble}</p>}
		</section>
	);
}
