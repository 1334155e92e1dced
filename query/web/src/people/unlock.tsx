/* Where the passphrase for sealed emails is entered. It stays in this browser. */
import { useState } from 'preact/hooks';
import { plural } from '../figures/count';
import { Icon } from '../parts/icon';
import { isUnlocked, lock, openedEmails, unlock, type Sealed } from './sealed';

export function Unlock({ sealed }: { sealed: readonly Sealed[] }) {
	const [passphrase, setPassphrase] = useState('');
	const [said, say] = useState('');
	const [isBusy, setBusy] = useState(false);
	const opened = openedEmails.value.size;
	const submit = async (event: Event) => {
		event.preventDefault();
		setBusy(true);
		const count = await unlock(passphrase, sealed);

		setBusy(false);
		setPassphrase('');
		say(count === 0 ? 'This passphrase opens none of them.' : '');
	};

	return (
		<form class="panel unlock" onSubmit={submit} aria-label="Sealed emails">
			<Icon name="lock" />
			<p>
				<strong>{plural(sealed.length, 'email')} sealed.</strong>{' '}
				{opened > 0 ? `${plural(opened, 'one', 'of them')} open in this page.` : 'They open in this page alone; the passphrase is not sent.'}
			</p>
			{isUnlocked()
				? <button type="button" class="button" onClick={lock}>Lock again</button>
				: (
					<>
						<label>
							<span class="unseen">Passphrase</span>
							<input type="password" autoComplete="off" placeholder="Passphrase" value={passphrase} required
								onInput={(event) => setPassphrase(event.currentTarget.value)} />
						</label>
						<button type="submit" class="button" disabled={isBusy}>{isBusy ? 'Opening…' : 'Open'}</button>
					</>
				)}
			<p role="status" class="trouble">{said}</p>
		</form>
	);
}
