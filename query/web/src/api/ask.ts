/* One question to the API, and the failure it may end in. */
import { parseExact } from './exact';

export type Params = Record<string, string | number | undefined>;

/* code is the API's ("forbidden", "overloaded"), or "unreachable" when nobody answered. */
export class Failure extends Error {
	constructor(readonly code: string, message: string, readonly status = 0) {
		super(message);
	}
}

const expiredListeners = new Set<() => void>();

/* Called when the API no longer knows who asks. */
export function onExpired(listener: () => void): void {
	expiredListeners.add(listener);
}

function addressOf(path: string, params: Params): string {
	const query = new URLSearchParams();

	for (const [name, value] of Object.entries(params)) {
		if (value !== undefined && value !== '')
			query.set(name, String(value));
	}
	return `/api/v1${path}${query.size > 0 ? `?${query}` : ''}`;
}

async function send(address: string, init: RequestInit): Promise<Response> {
	try {
		return await fetch(address, { credentials: 'same-origin', ...init });
	} catch (error) {
		if (init.signal?.aborted)
			throw error;
		throw new Failure('unreachable', 'tally does not answer. It is asked again by itself.');
	}
}

async function failureOf(reply: Response): Promise<Failure> {
	try {
		const { error } = (await reply.json()) as { error: { code: string; message: string } };

		return new Failure(error.code, error.message, reply.status);
	} catch {
		return new Failure('unreachable', `tally answered with status ${reply.status}.`, reply.status);
	}
}

async function answerOf<T>(reply: Response): Promise<T> {
	if (!reply.ok)
		throw await failureOf(reply);
	return (reply.status === 204 ? null : parseExact(await reply.text())) as T;
}

export async function ask<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
	const reply = await send(addressOf(path, params), { signal: signal ?? null });

	if (reply.status === 401)
		expiredListeners.forEach((listener) => listener());
	return answerOf<T>(reply);
}

/* A change. The header tells the server that a page of its own asks. */
export async function command<T>(method: string, path: string, body: object = {}): Promise<T> {
	return answerOf<T>(await send(addressOf(path, {}), {
		method,
		headers: { 'Content-Type': 'application/json', 'X-Tally': '1' },
		body: JSON.stringify(body),
	}));
}
