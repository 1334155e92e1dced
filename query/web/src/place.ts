/* Where the reader is. All state of a page is in its address, so that it can be sent to somebody. */
import { signal } from '@preact/signals';

export interface Place {
	path: string;
	params: URLSearchParams;
}

export const place = signal<Place>(read());

function read(): Place {
	return { path: location.pathname.replace(/\/+$/, '') || '/', params: new URLSearchParams(location.search) };
}

function show(): void {
	place.value = read();
}

export function go(address: string, how: 'push' | 'replace' = 'push'): void {
	if (how === 'push')
		history.pushState(null, '', address);
	else
		history.replaceState(null, '', address);
	show();
}

/* The same page with some of its state changed; undefined and '' leave the address. */
export function addressWith(changes: Record<string, string | undefined>, at: Place = place.value): string {
	const params = new URLSearchParams(at.params);

	for (const [name, value] of Object.entries(changes)) {
		if (value === undefined || value === '')
			params.delete(name);
		else
			params.set(name, value);
	}
	return `${at.path}${params.size > 0 ? `?${params}` : ''}`;
}

function isPlainClick(event: MouseEvent): boolean {
	return event.button === 0 && !event.defaultPrevented &&
		!event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}

/* Links are plain links; those within the dashboard are followed without a new page. */
export function followLinks(): void {
	addEventListener('popstate', show);
	document.addEventListener('click', (event) => {
		const anchor = (event.target as Element).closest?.('a');
		const isOurs = anchor?.origin === location.origin && !anchor.target &&
			anchor.pathname.startsWith('/dashboard');

		if (anchor === null || !isOurs || !isPlainClick(event))
			return;
		event.preventDefault();
		const isOther = anchor.pathname !== location.pathname;

		go(anchor.pathname + anchor.search);
		if (isOther)
			scrollTo(0, 0);
	});
}
