/*
 * One bubble for the whole page: what is pointed at, touched or focused and has data-hint says it in
 * full. It follows its element, stays inside the window, and goes with Escape.
 */
import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';

const shown = signal<{ of: Element; text: string; at: DOMRect } | null>(null);

function show(element: HTMLElement | null | undefined): void {
	if (element === null || element === undefined)
		hide();
	else if (shown.peek()?.of !== element || shown.peek()?.text !== element.dataset.hint)
		shown.value = { of: element, text: element.dataset.hint!, at: element.getBoundingClientRect() };
}

function showFocused({ target }: Event): void {
	const element = target as Element;

	if (element.matches(':focus-visible'))
		show(element.closest<HTMLElement>('[data-hint]'));
}

/* A card's link lies over the whole card: what is meant is under it. */
function showPointed(event: PointerEvent): void {
	const target = event.target as Element;
	const card = target.closest('.card');

	if (card === null)
		show(target.closest<HTMLElement>('[data-hint]'));
	else
		show(document.elementsFromPoint(event.clientX, event.clientY).find((under): under is HTMLElement =>
			under.matches('[data-hint]') && card.contains(under)));
}

function hide(): void {
	if (shown.peek() !== null)
		shown.value = null;
}

export function listenForHints(): void {
	document.addEventListener('pointermove', showPointed, { passive: true });
	document.addEventListener('pointerdown', showPointed, { passive: true });
	document.addEventListener('focusin', showFocused);
	document.addEventListener('focusout', hide);
	document.documentElement.addEventListener('pointerleave', hide);
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
