/* A figure: short where space is, every digit on hover, focus and in the page's own data. */
import { createContext } from 'preact';
import { useContext, useRef } from 'preact/hooks';
import { exactOf, shortOf, type Metric, type Value } from '../figures/metric';

/* What the figures of a page answer. A figure that changes while this does not is news. */
export const Question = createContext('');

interface Props {
	metric: Metric;
	value: Value;
	class?: string;
	/* What the figure is, before its digits in the hint. */
	label?: string;
}

export function Figure({ metric, value, label, class: name = '' }: Props) {
	const exact = exactOf(metric, value);

	return (
		<data class={`figure ${name} ${useFlash(value)}`} value={String(value)}
			data-hint={label === undefined ? exact : `${label}: ${exact}`}>
			{shortOf(value)}
		</data>
	);
}

/* A class that is another one after each piece of news, so that its animation begins anew. */
function useFlash(value: Value): string {
	const question = useContext(Question);
	const last = useRef({ question, value, changes: 0 });

	if (last.current.question !== question)
		last.current = { question, value, changes: 0 };
	else if (last.current.value !== value)
		last.current = { question, value, changes: last.current.changes + 1 };
	return ['', 'changed-once', 'changed-again'][
		last.current.changes === 0 ? 0 : 1 + (last.current.changes % 2)]!;
}
