/* The range, with two pickers when it is a custom one. Their times are the org's zone. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Choice } from './choice';
import { now, ofPicker, pickerOf } from '../figures/time';
import { addressWith, go } from '../place';
import { RANGES, type Range, type View } from '../team/view';

const DAY_MS = 86_400_000;

export function RangePicker({ view, tz }: { view: View; tz: string }) {
	const choose = (range: Range) => {
		if (range !== 'custom')
			return go(addressWith({ range, from: undefined, to: undefined, show: undefined }));
		const to = Math.floor(now.peek() / 60_000) * 60_000;

		go(addressWith({ range, from: String(to - 14 * DAY_MS), to: String(to), show: undefined }));
	};

	return (
		<div class="range">
			<Choice name="range" label="Range" options={RANGES} value={view.range} choose={choose} />
			{view.range === 'custom' && <Pickers view={view} tz={tz} />}
		</div>
	);
}

function textOf(ms: string, tz: string): string {
	return /^\d+$/.test(ms) ? pickerOf(Number(ms), tz) : '';
}

function Pickers({ view, tz }: { view: View; tz: string }) {
	const [from, setFrom] = useState(textOf(view.from, tz));
	const [to, setTo] = useState(textOf(view.to, tz));
	const first = useRef<HTMLInputElement>(null);
	const starts = ofPicker(from, tz);
	const ends = ofPicker(to, tz);
	const trouble = troubleOf(starts, ends);

	useEffect(() => {
		setFrom(textOf(view.from, tz));
		setTo(textOf(view.to, tz));
	}, [view.from, view.to, tz]);
	const submit = (event: Event) => {
		event.preventDefault();
		if (trouble === '')
			go(addressWith({ from: String(starts), to: String(ends), show: undefined }));
	};

	return (
		<form class="pickers" onSubmit={submit}>
			<label>From <input ref={first} type="datetime-local" value={from} required
				onInput={(event) => setFrom(event.currentTarget.value)} /></label>
			<label>to <input type="datetime-local" value={to} required
				onInput={(event) => setTo(event.currentTarget.value)} /></label>
			<button type="submit" class="button" disabled={trouble !== ''}>Show</button>
			<p class="pickers-trouble" role="status">{trouble}</p>
		</form>
	);
}

function troubleOf(starts: number, ends: number): string {
	if (Number.isNaN(starts) || Number.isNaN(ends))
		return 'Both ends are needed.';
	if (starts >= ends)
		return 'The end must be after the start.';
	return ends - starts > 400 * DAY_MS ? 'At most 400 days.' : '';
}
