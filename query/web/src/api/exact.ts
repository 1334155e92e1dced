/*
 * JSON whose whole numbers stay exact: what is past 2^53 becomes a bigint. Only sums of tokens can
 * be; money is text. Most replies have none, so the text is looked at first.
 */
const LONG_NUMBER = /[:[,]\s*-?\d{16,}\s*[,\]}]/;

/* A text as a whole, or a long number outside of texts. */
const TEXT_OR_LONG = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?=\s*[,\]}])/g;

/* No text of the API begins with it: control characters are refused on the way in. */
const MARK = '\u0000';

export function parseExact(text: string): unknown {
	if (!LONG_NUMBER.test(text))
		return JSON.parse(text);
	const marked = text.replace(TEXT_OR_LONG, (found) => (found[0] === '"' ? found : `"\\u0000${found}"`));

	return JSON.parse(marked, (_key, value: unknown) =>
		typeof value === 'string' && value[0] === MARK ? wholeOf(value.slice(1)) : value);
}

function wholeOf(digits: string): number | bigint {
	const value = Number(digits);

	return Number.isSafeInteger(value) ? value : BigInt(digits);
}
