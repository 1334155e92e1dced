/*
 * Cards keep their places while somebody reads. Figures in them follow the live data; who stands
 * where is as it was when the question was asked, until the reader takes the new order over.
 */
import { useRef, useState } from 'preact/hooks';

export interface Held<T> {
	/* In the order that is held, each as new as it is known. */
	rows: { row: T; placed: T }[];
	/* The order would be another by now. */
	isOld: boolean;
	renew: () => void;
}

export function useHeldOrder<T>(question: string, rows: readonly T[], keyOf: (row: T) => string): Held<T> {
	const held = useRef<{ question: string; rows: readonly T[] }>({ question: '', rows: [] });
	const [, draw] = useState(0);

	/* Nobody reads a page that is not seen. */
	if (held.current.question !== question || held.current.rows.length === 0 || document.hidden)
		held.current = { question, rows };
	const latest = new Map(rows.map((row) => [keyOf(row), row]));

	return {
		rows: held.current.rows.map((placed) => ({ placed, row: latest.get(keyOf(placed)) ?? placed })),
		isOld: rows.length !== held.current.rows.length ||
			rows.some((row, i) => keyOf(row) !== keyOf(held.current.rows[i]!)),
		renew: () => {
			held.current = { question, rows };
			draw((count) => count + 1);
		},
	};
}
