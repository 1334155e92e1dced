/* Who sits before this screen. The credential is a cookie that no script can read. */
import { signal } from '@preact/signals';
import { ask, command, Failure, onExpired } from './ask';

export interface Who {
	org: string | null;
	role: string;
	display_name: string | null;
}

export type SignIn =
	| { state: 'unknown' } /* nothing was asked yet */
	| { state: 'in'; who: Who | null }
	| { state: 'out'; why: 'never' | 'expired' | 'left' };

export const signIn = signal<SignIn>({ state: 'unknown' });

onExpired(() => {
	const before = signIn.value.state;

	signIn.value = { state: 'out', why: before === 'in' ? 'expired' : 'never' };
});

export async function findWho(): Promise<void> {
	try {
		signIn.value = { state: 'in', who: await ask<Who>('/session') };
	} catch (error) {
		if (error instanceof Failure && error.status === 401)
			return;
		signIn.value = { state: 'in', who: null };
	}
}

/* With a personal token, or the code of a one-time link. */
export async function enter(proof: { token: string } | { code: string }): Promise<void> {
	await command('POST', '/session', proof);
	await findWho();
}

export async function leave(): Promise<void> {
	await command('DELETE', '/session');
	signIn.value = { state: 'out', why: 'left' };
}
