/* The value of before, until the frame with everything else was drawn: for what is far down a page. */
import { useEffect, useState } from 'preact/hooks';

export function useAfterPaint<T>(value: T): T {
	const [drawn, draw] = useState(value);

	useEffect(() => draw(value), [value]);
	return drawn;
}
