/* The Team screen: range and sort, the overview, the ranked team, repositories and pull requests. */
import { useEffect } from 'preact/hooks';
import { follow } from '../api/live';
import { morePulls, moreRepos, teamScreen, type TeamScreen as Screen } from '../api/team';
import { METRICS, type Metric } from '../figures/metric';
import type { Answer } from '../api/source';
import { useAfterPaint } from '../parts/after_paint';
import { Choice } from '../parts/choice';
import { Question } from '../parts/figure';
import { memo } from '../parts/memo';
import { RangePicker } from '../parts/range_picker';
import { Empty, Failed, Skeleton } from '../parts/state';
import { addressWith, go, place } from '../place';
import { CardGrid, PullWork, RepoWork } from './cards';
import { Members } from './members';
import { Overview } from './overview';
import { TopRepos } from './top_repos';
import { isAskable, questionOf, viewOf, type View } from './view';

export function TeamScreen() {
	const view = viewOf(place.value);
	const question = questionOf(view);
	const answer = teamScreen.answer.value;
	const failure = teamScreen.failure.value;

	useEffect(() => {
		if (isAskable(view))
			teamScreen.ask(question);
	}, [question]);
	useEffect(() => {
		const stop = follow(() => void teamScreen.again());

		return () => {
			stop();
			teamScreen.leave();
		};
	}, []);
	return (
		<>
			<Toolbar view={view} tz={answer?.data.window.tz ?? 'UTC'} />
			{answer === null && failure !== null && (
				<div class="panel"><Failed failure={failure} again={() => void teamScreen.again()} /></div>
			)}
			{answer === null && failure === null && <Waiting />}
			{answer !== null && failure !== null && answer.question !== question && (
				<div class="panel"><Failed failure={failure} again={() => void teamScreen.again()} /></div>
			)}
			{answer !== null && (
				<div class="team" aria-busy={answer.question !== question}>
					<Question.Provider value={answer.question}>
						<Figures answer={answer} />
					</Question.Provider>
				</div>
			)}
		</>
	);
}

function Toolbar({ view, tz }: { view: View; tz: string }) {
	const sort = (metric: Metric) => go(addressWith({ sort: metric === 'cost' ? undefined : metric, show: undefined }));

	return (
		<div class="toolbar">
			<h1 tabIndex={-1}>Team</h1>
			<RangePicker view={view} tz={tz} />
			<Choice name="sort" label="Sort by" options={METRICS} value={view.sort} choose={sort} />
		</div>
	);
}

/* Only another answer draws them anew, not the question on its way. */
const Figures = memo(({ answer }: { answer: Answer<Screen> }) => <Sections answer={answer} />,
	(before, after) => before.answer === after.answer);

function Sections({ answer }: { answer: Answer<Screen> }) {
	const later = useAfterPaint(answer);

	return (
		<>
			<div class="team-top">
				<Overview screen={answer.data} />
				<TopRepos top={answer.data.top_repos} />
			</div>
			<Members screen={answer.data} question={answer.question} />
			<Grids answer={later} />
		</>
	);
}

const Grids = memo(({ answer: { question, data: screen } }: { answer: Answer<Screen> }) => {
	const { metric, window: { tz } } = screen;

	return (
		<>
			<CardGrid question={question} title="Repositories" rows={screen.repos} page={screen.repos_page}
				empty={<Empty icon="repo" title="No repository activity in this period" />}
				more={async (cursor) => {
					const page = await moreRepos(question, cursor);

					return { rows: page.repos, page };
				}}
				keyOf={(card) => card.repo}
				draw={(card) => <RepoWork card={card} metric={metric} tz={tz} />} />
			<CardGrid question={question} title="Pull requests" rows={screen.pulls} page={screen.pulls_page}
				empty={<Empty icon="pull" title="No pull request activity in this period" />}
				more={async (cursor) => {
					const page = await morePulls(question, cursor);

					return { rows: page.pulls, page };
				}}
				keyOf={(card) => `${card.repo}#${card.number}`}
				draw={(card) => <PullWork card={card} metric={metric} tz={tz} />} />
		</>
	);
}, (before, after) => before.answer === after.answer);

function Waiting() {
	return (
		<div class="team" aria-busy="true">
			<div class="team-top">
				<Skeleton rows={1} class="skeleton-overview" />
				<Skeleton rows={1} class="skeleton-overview" />
			</div>
			<div class="cards grid-section"><Skeleton rows={8} class="skeleton-card" /></div>
		</div>
	);
}
