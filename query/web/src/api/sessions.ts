/* Sessions: the list behind the cards, one of them, and the pages of its requests. */
import { ask, type Params } from './ask';
import { Source } from './source';
import type { Head, Session, SessionDetail } from './shapes';

export type SessionList = Head & { sessions: Session[] };

function paramsOf(question: string): Params {
	return Object.fromEntries(new URLSearchParams(question));
}

/* question: range and filters as the query of an address. */
export const sessionList = new Source<SessionList>((question, signal) =>
	ask<SessionList>('/sessions', paramsOf(question), signal));

/* question: the session's id. */
export const oneSession = new Source<SessionDetail>((id, signal) =>
	ask<SessionDetail>(`/sessions/${encodeURIComponent(id)}`, {}, signal));

export function moreSessions(question: string, cursor: string): Promise<SessionList> {
	return ask('/sessions', { ...paramsOf(question), cursor });
}

export function moreRequests(id: string, cursor: string): Promise<SessionDetail> {
	return ask(`/sessions/${encodeURIComponent(id)}`, { cursor });
}
