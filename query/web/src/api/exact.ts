/*
 * JSON whose whole numbers stay exact: what is past 2^53 becomes a bigint. Only sums of tokens can
 * be; money is text. A reviver is slow, so the text is looked at first.
 */
const LONG_NUMBER = /[:[,]\s*-?\d{16,}\s*[,\]}]/;

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

const keepLong: Reviver = (_key, value, context) =>
	typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
		? BigInt(context!.source!)
		: value;

export function parseExact(text: string): unknown {
	return LONG_NUMBER.test(text)
		? JSON.parse(text, keepLong as (key: string, value: unknown) => unknown)
		: JSON.parse(text);
}
