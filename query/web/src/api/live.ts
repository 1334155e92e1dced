/*
 * Word from the server that figures changed. The stream says only that; the page asks for the
 * figures itself, which also tells whether whoever asks is still known. A page that nobody sees
 * holds no stream. One that was cut is opened again, later and later; what was missed is asked for.
 */
import { signal } from '@preact/signals';

export type Link = 'connecting' | 'live' | 'lost';

export const link = signal<Link>('connecting');

const AGAIN_MS_MIN = 250;
const AGAIN_MS_MAX = 10_000;
/* From one reload to the next at least; the first comes at once. */
const APART_MS = 1000;

/* Until the result is called. changed: ask for the figures again. */
export function follow(changed: () => void): () => void {
	const stream = new Stream(spaced(changed));
	const look = () => (document.hidden ? stream.close() : stream.open());

	link.value = 'connecting';
	look();
	document.addEventListener('visibilitychange', look);
	return () => {
		document.removeEventListener('visibilitychange', look);
		stream.close();
	};
}

function spaced(run: () => void): () => void {
	let due = 0;
	let last = -APART_MS;

	return () => {
		if (due !== 0)
			return;
		due = window.setTimeout(() => {
			due = 0;
			last = performance.now();
			run();
		}, Math.max(0, last + APART_MS - performance.now()));
	};
}

class Stream {
	private source: EventSource | null = null;
	private timer = 0;
	private pause = AGAIN_MS_MIN;
	private isFirst = true;

	constructor(private readonly changed: () => void) {}

	open(): void {
		if (this.source !== null)
			return;
		const source = new EventSource('/api/v1/live');

		this.source = source;
		source.onopen = () => {
			if (!this.isFirst)
				this.changed();
			this.isFirst = false;
			this.pause = AGAIN_MS_MIN;
			link.value = 'live';
		};
		source.onmessage = () => this.changed();
		source.addEventListener('end', () => this.changed());
		source.onerror = () => this.lose(source.readyState === EventSource.CLOSED);
	}

	close(): void {
		clearTimeout(this.timer);
		this.source?.close();
		this.source = null;
	}

	private lose(isRefused: boolean): void {
		this.close();
		link.value = 'lost';
		if (isRefused)
			this.changed();
		this.timer = window.setTimeout(() => this.open(), this.pause);
		this.pause = Math.min(this.pause * 2, AGAIN_MS_MAX);
	}
}
