/* Around every page: where to go, whether figures are live, seats, theme, sign-out. */
import type { ComponentChildren } from 'preact';
import { leave, signIn } from './api/session';
import { link } from './api/live';
import { teamScreen } from './api/team';
import { teamTable } from './api/people';
import { plural } from './figures/count';
import { Icon } from './parts/icon';
import { Mark } from './parts/mark';
import { lock } from './people/sealed';
import { place } from './place';
import { chooseTheme, themeChoice, type ThemeChoice } from './theme';

const PAGES = [
	{ path: '/dashboard', name: 'Team' },
	{ path: '/dashboard/team', name: 'Team table' },
	{ path: '/dashboard/sessions', name: 'Sessions' },
];

export function Shell({ children }: { children: ComponentChildren }) {
	return (
		<>
			<a class="skip" href="#main">Skip to the figures</a>
			<header class="shell">
				<div class="shell-row">
					<a class="shell-mark" href="/dashboard" aria-label="tally, the team"><Mark /></a>
					<nav aria-label="Pages">
						{PAGES.map(({ path, name }) => (
							<a key={path} href={path} aria-current={isCurrent(path) ? 'page' : undefined}>{name}</a>
						))}
					</nav>
					<div class="shell-end">
						{place.value.path === '/dashboard' && <Live />}
						<Seats />
						<Theme />
						<SignOut />
					</div>
				</div>
			</header>
			<main id="main" class="main">{children}</main>
		</>
	);
}

function isCurrent(path: string): boolean {
	const here = place.value.path;

	return here === path || (path !== '/dashboard' && here.startsWith(`${path}/`));
}

const LIVE = {
	connecting: { text: 'Connecting', hint: 'Figures follow as they change' },
	live: { text: 'Live', hint: 'Figures follow as they change' },
	lost: { text: 'Reconnecting', hint: 'tally does not answer. What you see is from before; it is asked again by itself.' },
};

function Live() {
	const state = link.value === 'live' && teamScreen.failure.value !== null ? 'lost' : link.value;
	const { text, hint } = LIVE[state];

	return <span class={`live live-${state}`} role="status" data-hint={hint}><i class="pulse" /><span>{text}</span></span>;
}

function Seats() {
	const seats = place.value.path === '/dashboard' ? teamScreen.data.value?.seats : teamTable.data.value ?? teamScreen.data.value?.seats;

	if (seats === undefined || seats === null)
		return null;
	const isOver = seats.seats > 0 && seats.used > seats.seats;
	const text = seats.seats > 0 ? `${seats.used} / ${seats.seats} seats used` : `${plural(seats.used, 'seat')} used`;

	return (
		<span class={`seats ${isOver ? 'seats-over' : ''}`}
			data-hint={isOver ? 'More people than seats. Nothing is dropped; an admin can change the number.' : 'People with at least one request'}>
			<Icon name="seats" />{text}
		</span>
	);
}

const NEXT: Record<ThemeChoice, ThemeChoice> = { auto: 'light', light: 'dark', dark: 'auto' };
const THEME_ICON = { auto: 'auto', light: 'sun', dark: 'moon' } as const;

function Theme() {
	const choice = themeChoice.value;
	const text = `Theme: ${choice === 'auto' ? 'as the system' : choice}`;

	return (
		<button type="button" class="button-quiet" aria-label={text} data-hint={text} onClick={() => chooseTheme(NEXT[choice])}>
			<Icon name={THEME_ICON[choice]} />
		</button>
	);
}

function SignOut() {
	if (signIn.value.state !== 'in')
		return null;
	const name = signIn.value.who?.display_name;
	const text = name ? `Sign out ${name}` : 'Sign out';
	const out = async () => {
		lock();
		await leave();
	};

	return (
		<button type="button" class="button-quiet" aria-label={text} data-hint={text} onClick={() => void out()}>
			<Icon name="out" />
		</button>
	);
}
