/*
 * One bubble for the whole page: what is pointed at, touched or focused and has data-hint says it in
 * full. It follows its element, stays inside the window, and goes with Escape.
 */
import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';

const shown = signal<{ text: string; at: DOMRect } | null>(null);

function show(event: Event): void {
	const element = (event.target as Element | null)?.closest?.<HTMLElement>('[data-hint]');
	const isFocus = event.type === 'focusin';

	if (element === null || element === undefined || (isFocus && !element.matches(':focus-visible'))) {
		hide();
		return;
	}
	shown.value = { text: element.dataset.hint!, at: element.getBoundingClientRect() };
}

function hide(): void {
	if (shown.peek() !== null)
		shown.value = null;
}

export function listenForHints(): void {
	document.addEventListener('pointerover', show);
	document.addEventListener('focusin', show);
	document.addEventListener('focusout', hide);
	document.addEventListener('pointerleave', hide);
	document.addEventListener('keydown', (event) => event.key === 'Escape' && hide());
	addEventListener('scroll', hide, { passive: true, capture: true });
}

export function Hint() {
	const bubble = useRef<HTMLDivElement>(null);
	const hint = shown.value;

	useLayoutEffect(() => {
		const element = bubble.current;

		if (element === null || hint === null)
			return;
		const own = element.getBoundingClientRect();
		const left = hint.at.left + hint.at.width / 2 - own.width / 2;
		const above = hint.at.top - own.height - 8;

		element.style.left = `${Math.max(8, Math.min(left, innerWidth - own.width - 8))}px`;
		element.style.top = `${above >= 8 ? above : hint.at.bottom + 8}px`;
	}, [hint]);
	return hint && <div ref={bubble} class="hint" role="tooltip">{hint.text}</div>;
}
