/* One session: what it is about, what it took, by which models, and its requests. */
import { useEffect } from 'preact/hooks';
import { oneSession } from '../api/sessions';
import type { SessionDetail } from '../api/shapes';
import { compact, grouped, percent, plural } from '../figures/count';
import { centsUsd, exactUsd } from '../figures/money';
import { lasting, momentOf } from '../figures/time';
import { agentName } from '../parts/agent_badge';
import { Chart } from '../parts/chart';
import { Icon } from '../parts/icon';
import { RepoName, safeUrl } from '../parts/repo_name';
import { Failed, Skeleton } from '../parts/state';
import { Models } from './models';
import { Requests } from './requests';
import { memberOf } from './session_row';

export function SessionScreen({ id }: { id: string }) {
	const answer = oneSession.answer.value;
	const failure = oneSession.failure.value;
	const session = answer?.question === id ? answer.data : null;

	useEffect(() => {
		oneSession.ask(id);
		return () => oneSession.leave();
	}, [id]);
	return (
		<>
			<p class="crumb"><a class="plain" href="/dashboard/sessions"><Icon name="back" />Sessions</a></p>
			{(session === null || failure !== null) && <h1 class="unseen" tabIndex={-1}>Session</h1>}
			{failure !== null && (
				<div class="panel"><Failed failure={failure} again={() => void oneSession.again()} /></div>
			)}
			{session === null && failure === null && <Skeleton rows={2} class="skeleton-overview" />}
			{session !== null && failure === null && <Detail id={id} session={session} />}
		</>
	);
}

function Detail({ id, session }: { id: string; session: SessionDetail }) {
	return (
		<>
			<h1 tabIndex={-1} class="session-title"><bdi>{session.name ?? session.session}</bdi></h1>
			{session.name !== null && <p class="mono quiet session-id">{session.session}</p>}
			<About session={session} />
			<section class="panel overview" aria-labelledby="cadence-title">
				<Took session={session} />
				<h2 id="cadence-title" class={`panel-title cadence-title ${session.spark.length < 2 ? 'unseen' : ''}`}>
					Cost over its life
				</h2>
				{session.spark.length > 1 && (
					<Chart label="Cost of the session over its life" window={session.window} metric="cost" bars={session.spark} />
				)}
				<p class="quiet overview-zone">{cadenceOf(session)}</p>
			</section>
			<Models models={session.models} />
			<Requests key={id} id={id} session={session} />
		</>
	);
}

/* How often it asked. */
function cadenceOf({ requests, first_ms: first, last_ms: last, window }: SessionDetail): string {
	const zone = `Times are ${window.tz.replace('_', ' ')}.`;

	if (BigInt(requests) < 2n)
		return zone;
	return `A request every ${lasting(Math.round((last - first) / (Number(requests) - 1)))} on average. ${zone}`;
}

function About({ session }: { session: SessionDetail }) {
	const { repo, pulls, commits, window: { tz } } = session;

	return (
		<dl class="about">
			<div>
				<dt>Member</dt>
				<dd>
					{session.member_id === null
						? 'unattributed'
						: <a href={`/dashboard/sessions?member=${session.member_id}`}><bdi>{memberOf(session)}</bdi></a>}
				</dd>
			</div>
			<div><dt>Agent</dt><dd>{session.agent === null ? '–' : agentName(session.agent)}</dd></div>
			<div><dt>From</dt><dd>{momentOf(session.first_ms, tz)}</dd></div>
			<div><dt>To</dt><dd>{momentOf(session.last_ms, tz)} <span class="quiet">({lasting(session.last_ms - session.first_ms)})</span></dd></div>
			<div>
				<dt>Repository</dt>
				<dd>{repo === null ? '–' : <a href={`/dashboard/sessions?${new URLSearchParams({ repo })}`}><RepoName repo={repo} /></a>}</dd>
			</div>
			<div>
				<dt>Pull requests</dt>
				<dd class="about-list">
					{pulls.length === 0 ? '–' : pulls.map((pull) => <Pull key={`${pull.repo}#${pull.number}`} repo={repo} pull={pull} />)}
				</dd>
			</div>
			<div>
				<dt>Commits</dt>
				<dd class="about-list mono">
					{commits.length === 0 ? '–' : commits.map((commit) => <span key={commit} data-hint={commit}>{commit.slice(0, 10)}</span>)}
				</dd>
			</div>
		</dl>
	);
}

function Pull({ repo, pull }: { repo: string | null; pull: SessionDetail['pulls'][number] }) {
	const text = <>{pull.repo !== repo && <RepoName repo={pull.repo} />}#{pull.number}</>;

	return safeUrl(pull.url) === undefined
		? <span class="about-pull">{text}</span>
		: <a class="about-pull" href={pull.url} target="_blank" rel="noopener noreferrer">{text}</a>;
}

function Took({ session }: { session: SessionDetail }) {
	const all: [string, string, string][] = [
		['Cost', centsUsd(session.cost_usd), exactUsd(session.cost_usd)],
		['Tokens', compact(session.tokens), plural(session.tokens, 'token')],
		['Input', compact(session.input_tokens), plural(session.input_tokens, 'token')],
		['Output', compact(session.output_tokens), plural(session.output_tokens, 'token')],
		['Cache read', compact(session.cache_read_tokens), plural(session.cache_read_tokens, 'token')],
		['Cache written', compact(session.cache_write_tokens), plural(session.cache_write_tokens, 'token')],
		['Saved', centsUsd(session.saved_usd),
			`${exactUsd(session.saved_usd)} and ${plural(session.saved_tokens, 'token')}, ${percent(session.saved_ppm)}`],
		['Requests', grouped(session.requests), plural(session.requests, 'request')],
		['Failed', grouped(session.errors), plural(session.errors, 'request')],
		['Mean time', session.mean_duration_ms === null ? '–' : lasting(session.mean_duration_ms),
			session.mean_duration_ms === null ? 'No request says how long it took' : `${grouped(session.mean_duration_ms)} ms`],
	];

	return (
		<dl class="totals totals-wide">
			{all.map(([name, short, exact]) => <div key={name}><dt>{name}</dt><dd data-hint={exact}>{short}</dd></div>)}
		</dl>
	);
}
