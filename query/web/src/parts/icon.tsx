/* Small drawings, one path each, in the colour of the text. */
const PATHS = {
	sun: 'M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7 1.4-1.4M4.9 19.1l1.4-1.4m0-11.4L4.9 4.9m14.2 14.2-1.4-1.4M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0Z',
	moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z',
	auto: 'M12 3a9 9 0 1 0 0 18Zm0 0a9 9 0 0 1 0 18',
	out: 'M15 4h3a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-3M10 8l-4 4 4 4m-4-4h10',
	seats: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6 9a6 6 0 0 1 12 0m1-9.3a3 3 0 0 0 0-5.4M18 14.6a5.5 5.5 0 0 1 3 5.4',
	repo: 'M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2Z',
	pull: 'M7 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4Zm0 0v8m0 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4Zm10 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4Zm0 0V9a3 3 0 0 0-3-3h-2m2-2-2 2 2 2',
	up: 'M12 6l6 9H6Z',
	down: 'M12 18l6-9H6Z',
	open: 'M9 6H6v12h12v-3M13 5h6v6m0-6-8 8',
	search: 'm20 20-4.5-4.5M17 10.5a6.5 6.5 0 1 1-13 0 6.5 6.5 0 0 1 13 0Z',
	lock: 'M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6Z',
	chevron: 'm7 10 5 5 5-5',
	back: 'm14 6-6 6 6 6',
	empty: 'M4 19h16M7 15v-3m5 3V8m5 7v-5',
	warn: 'M12 9v4m0 3.5v.1M12 4l9 16H3Z',
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
	return (
		<svg class={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true">
			<path d={PATHS[name]} />
		</svg>
	);
}
