/*
 * Cards keep their places while somebody reads. Figures in them follow the live data; who stands
 * where is as it was when the question was asked, until the reader takes the new order over or comes
 * back from another window.
 */
import { useEffect, useRef, useState } from 'preact/hooks';

export interface Held<T> {
	/* In the order that is held, each as new as it is known. */
	rows: { row: T; placed: T }[];
	/* The order would be another by now. */
	isOld: boolean;
	renew: () => void;
}

interface Order<T> {
	question: string;
	rows: readonly T[];
	/* Nobody saw the page since. */
	isUnseen: boolean;
}

export function useHeldOrder<T>(question: string, rows: readonly T[], keyOf: (row: T) => string): Held<T> {
	const held = useRef<Order<T>>({ question: '', rows: [], isUnseen: true });
	const [, draw] = useState(0);
	const { current } = held;

	if (current.question !== question || (current.isUnseen && current.rows !== rows))
		held.current = { question, rows, isUnseen: document.hidden };
	useEffect(() => {
		const look = () => {
			if (document.hidden)
				held.current.isUnseen = true;
		};

		document.addEventListener('visibilitychange', look);
		return () => document.removeEventListener('visibilitychange', look);
	}, []);
	const latest = new Map(rows.map((row) => [keyOf(row), row]));
	const order = held.current.rows;

	return {
		rows: order.map((placed) => ({ placed, row: latest.get(keyOf(placed)) ?? placed })),
		isOld: rows.length !== order.length || rows.some((row, i) => keyOf(row) !== keyOf(order[i]!)),
		renew: () => {
			held.current = { question, rows, isUnseen: false };
			draw((count) => count + 1);
		},
	};
}
