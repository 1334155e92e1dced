/* Who is there? A personal token, or the code of a one-time link that is in the address. */
import { useEffect, useState } from 'preact/hooks';
import { Failure } from '../api/ask';
import { enter, signIn } from '../api/session';
import { Mark } from '../parts/mark';
import { go } from '../place';

const SAID = {
	never: '',
	expired: 'Your session has ended. Sign in to go on where you were.',
	left: 'You are signed out.',
};

/* Taken out of the address at once, so that it is not in the history. */
function takeCode(): string {
	const code = location.hash.slice(1);

	if (code !== '')
		history.replaceState(null, '', location.pathname + location.search);
	return code;
}

export function SignInScreen() {
	const state = signIn.value;
	const [code] = useState(takeCode);
	const [token, setToken] = useState('');
	const [trouble, setTrouble] = useState('');
	const [isBusy, setBusy] = useState(false);
	const attempt = async (proof: Parameters<typeof enter>[0]) => {
		setBusy(true);
		setTrouble('');
		try {
			await enter(proof);
			if (location.pathname === '/login')
				go('/dashboard', 'replace');
		} catch (error) {
			setTrouble(textOf(error, 'code' in proof));
		}
		setBusy(false);
	};

	useEffect(() => {
		if (code !== '')
			void attempt({ code });
	}, []);
	return (
		<main class="signin">
			<form class="panel signin-panel" onSubmit={(event) => {
				event.preventDefault();
				void attempt({ token: token.trim() });
			}}>
				<Mark />
				<h1>Sign in to tally</h1>
				<p class="quiet">{state.state === 'out' ? SAID[state.why] : ''}</p>
				<label>
					Personal token
					<input type="password" autoComplete="off" spellcheck={false} required value={token}
						placeholder="tally_pat_…" onInput={(event) => setToken(event.currentTarget.value)} />
				</label>
				<p role="alert" class="trouble">{trouble}</p>
				<button type="submit" class="button button-main" disabled={isBusy}>{isBusy ? 'One moment…' : 'Sign in'}</button>
				<p class="quiet signin-help">
					No token at hand? On the server, <code>tally login-link</code> prints a link that works once.
				</p>
			</form>
		</main>
	);
}

function textOf(error: unknown, isLink: boolean): string {
	if (!(error instanceof Failure))
		return String(error);
	if (error.status === 401 || error.status === 404)
		return isLink ? 'This link was used already, or is too old. Ask for a new one.' : 'This token is not known, or no longer valid.';
	return error.status === 429 ? 'Too many attempts. Wait a minute.' : error.message;
}
