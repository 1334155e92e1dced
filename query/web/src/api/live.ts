/*
 * Word from the server that figures changed. The stream says only that; the page asks for the
 * figures itself. It may be cut at any time: it is opened again, later and later, and whoever listens
 * is told, as something may have been missed.
 */
import { signal } from '@preact/signals';

export type Link = 'connecting' | 'live' | 'lost';

export const link = signal<Link>('connecting');

const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 15_000;
/* At most one reload a second, and the first at once. */
const APART_MS = 1000;

export function follow(changed: () => void): () => void {
	let stream: EventSource | null = null;
	let pause = AGAIN_MS_MIN;
	let timer = 0;
	let due = 0;
	let last = -APART_MS;

	const tell = () => {
		due = 0;
		last = performance.now();
		changed();
	};
	const soon = () => {
		if (due === 0)
			due = window.setTimeout(tell, Math.max(0, last + APART_MS - performance.now()));
	};
	const open = () => {
		stream = new EventSource('/api/v1/live');
		stream.onopen = () => {
			if (link.value === 'lost')
				soon();
			link.value = 'live';
			pause = AGAIN_MS_MIN;
		};
		stream.onmessage = soon;
		stream.onerror = () => {
			stream?.close();
			link.value = 'lost';
			timer = window.setTimeout(open, pause);
			pause = Math.min(pause * 2, AGAIN_MS_MAX);
		};
	};

	link.value = 'connecting';
	open();
	return () => {
		stream?.close();
		clearTimeout(timer);
		clearTimeout(due);
	};
}
