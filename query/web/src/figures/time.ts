/* Times of day are the figures' zone, not the browser's. */
import { signal } from '@preact/signals';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/* Moves on by itself, so that "2 min ago" does. */
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 15_000);

const formats = new Map<string, Intl.DateTimeFormat>();

function format(tz: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
	const key = tz + JSON.stringify(options);
	let found = formats.get(key);

	if (found === undefined) {
		found = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: tz });
		formats.set(key, found);
	}
	return found;
}

/* "just now", "5 min ago", "2 h ago", "3 d ago", then the date. */
export function ago(ms: number, at: number): string {
	const passed = at - ms;

	if (passed < MINUTE_MS)
		return 'just now';
	if (passed < HOUR_MS)
		return `${Math.floor(passed / MINUTE_MS)} min ago`;
	if (passed < DAY_MS)
		return `${Math.floor(passed / HOUR_MS)} h ago`;
	if (passed < 60 * DAY_MS)
		return `${Math.floor(passed / DAY_MS)} d ago`;
	return dayOf(ms, 'UTC');
}

/* "18 Nov 2026" */
export function dayOf(ms: number, tz: string): string {
	return format(tz, { day: 'numeric', month: 'short', year: 'numeric' }).format(ms);
}

/* "18 Nov 2026, 06:15:02" */
export function momentOf(ms: number, tz: string): string {
	return format(tz, {
		day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit',
		second: '2-digit',
	}).format(ms);
}

export function clockOf(ms: number, tz: string): string {
	return format(tz, { hour: '2-digit', minute: '2-digit' }).format(ms);
}

function weekdayOf(ms: number, tz: string): string {
	return format(tz, { weekday: 'short', day: 'numeric', month: 'short' }).format(ms);
}

export function isMidnight(ms: number, tz: string): boolean {
	return clockOf(ms, tz) === '00:00';
}

/* A bin in words: "Wed 18 Nov", "Wed 18 Nov, 06:00–12:00", or both ends. */
export function binOf(start: number, end: number, tz: string): string {
	const first = weekdayOf(start, tz);
	const last = weekdayOf(end - 1, tz);

	if (first === last && isMidnight(start, tz) && isMidnight(end, tz))
		return first;
	if (first === last)
		return `${first}, ${clockOf(start, tz)}–${clockOf(end, tz)}`;
	if (isMidnight(start, tz) && isMidnight(end, tz))
		return `${first} – ${last}`;
	return `${first} ${clockOf(start, tz)} – ${weekdayOf(end, tz)} ${clockOf(end, tz)}`;
}

/* Under the axis: days as "18 Nov", hours as "06:00". */
export function tickOf(ms: number, tz: string): string {
	if (!isMidnight(ms, tz))
		return clockOf(ms, tz);
	return format(tz, { day: 'numeric', month: 'short' }).format(ms);
}

/* "1.2 s", "340 ms", "4 min 10 s", "3 h 5 min", "2 d 4 h" */
export function lasting(ms: number): string {
	if (ms < 1000)
		return `${Math.round(ms)} ms`;
	if (ms < MINUTE_MS)
		return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
	if (ms < HOUR_MS)
		return `${Math.floor(ms / MINUTE_MS)} min ${Math.floor((ms % MINUTE_MS) / 1000)} s`;
	if (ms < DAY_MS)
		return `${Math.floor(ms / HOUR_MS)} h ${Math.floor((ms % HOUR_MS) / MINUTE_MS)} min`;
	return `${Math.floor(ms / DAY_MS)} d ${Math.floor((ms % DAY_MS) / HOUR_MS)} h`;
}

/* "2026-11-18T06:15" as a picker writes it, in the zone. */
export function pickerOf(ms: number, tz: string): string {
	const parts = new Map(
		format(tz, {
			year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
			hourCycle: 'h23',
		}).formatToParts(ms).map((part) => [part.type, part.value]));

	return `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}` +
		`T${parts.get('hour')}:${parts.get('minute')}`;
}

/* The moment a picker's text names in the zone; NaN for no date. An hour that a change of clocks skips is the next. */
export function ofPicker(text: string, tz: string): number {
	const asUtc = Date.parse(`${text}Z`);
	let ms = asUtc;

	for (let round = 0; round < 2 && !Number.isNaN(ms); round++)
		ms += asUtc - Date.parse(`${pickerOf(ms, tz)}Z`);
	return ms;
}
