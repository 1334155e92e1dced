/* A text to look for; it goes into the address once the typing pauses. */
import { useEffect, useState } from 'preact/hooks';
import { Icon } from './icon';
import { addressWith, go, place } from '../place';

const PAUSE_MS = 200;

export function SearchField({ name, label }: { name: string; label: string }) {
	const said = place.value.params.get(name) ?? '';
	const [text, setText] = useState(said);

	useEffect(() => setText(said), [said]);
	useEffect(() => {
		if (text.trim() === said)
			return undefined;
		const timer = setTimeout(() => go(addressWith({ [name]: text.trim() }, place.peek()), 'replace'), PAUSE_MS);

		return () => clearTimeout(timer);
	}, [text]);
	return (
		<label class="search">
			<Icon name="search" />
			<span class="unseen">{label}</span>
			<input type="search" placeholder={label} value={text}
				onInput={(event) => setText(event.currentTarget.value)} />
		</label>
	);
}
