/* Which page an address is. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { findWho, signIn } from './api/session';
import { teamScreen } from './api/team';
import { teamTable } from './api/people';
import { oneSession, sessionList } from './api/sessions';
import { Broken } from './parts/broken';
import { Hint } from './parts/hint';
import { Empty } from './parts/state';
import { PeopleScreen } from './people/people_screen';
import { lock } from './people/sealed';
import { place } from './place';
import { SessionScreen } from './sessions/detail_screen';
import { SessionsScreen } from './sessions/list_screen';
import { Shell } from './shell';
import { SignInScreen } from './signin/sign_in_screen';
import { TeamScreen } from './team/team_screen';

const SESSION = /^\/dashboard\/sessions\/(.+)$/;

function pageOf(path: string): { title: string; page: ComponentChildren } {
	const session = SESSION.exec(path)?.[1];

	if (path === '/dashboard' || path === '/')
		return { title: 'Team', page: <TeamScreen /> };
	if (path === '/dashboard/team')
		return { title: 'Team table', page: <PeopleScreen /> };
	if (path === '/dashboard/sessions')
		return { title: 'Sessions', page: <SessionsScreen /> };
	if (session !== undefined)
		return { title: 'Session', page: <SessionScreen id={decodeURIComponent(session)} /> };
	return {
		title: 'Not found',
		page: <div class="panel"><h1 class="unseen">Not found</h1><Empty icon="search" title="There is no such page"><a href="/dashboard">To the team</a></Empty></div>,
	};
}

/* Whoever comes next before this screen sees nothing of who was there. */
function forgetAll(): void {
	[teamScreen, teamTable, sessionList, oneSession].forEach((source) => source.forget());
	lock();
}

export function App() {
	const { path } = place.value;
	const isOut = signIn.value.state === 'out' || path === '/login';
	const { title, page } = pageOf(path);
	const first = useRef(true);

	useEffect(() => {
		if (path !== '/login')
			void findWho();
	}, []);
	useEffect(() => {
		if (isOut)
			forgetAll();
	}, [isOut]);
	useEffect(() => {
		document.title = isOut ? 'Sign in – tally' : `${title} – tally`;
		if (!first.current)
			document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
		first.current = false;
	}, [path, isOut]);
	return (
		<>
			{isOut ? <SignInScreen /> : <Shell><Broken page={path}>{page}</Broken></Shell>}
			<Hint />
		</>
	);
}
