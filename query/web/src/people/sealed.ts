/*
 * Emails that only this browser can read. The key is made from a passphrase, cannot be taken out of
 * the browser's crypto, is held in memory alone and is gone with the page or the sign-out. Nothing
 * made from it is sent anywhere.
 */
import { signal } from '@preact/signals';
import type { SealedEmail } from '../api/shapes';

const ROUNDS_MIN = 600_000;
const ROUNDS_MAX = 5_000_000;
/* An org has one salt, two while it changes; each costs a derivation of a second or so. */
const SALTS_MAX = 4;

/* Member id -> email, of those that opened. */
export const openedEmails = signal<ReadonlyMap<string, string>>(new Map());

export interface Sealed {
	member_id: string;
	email_enc: SealedEmail;
}

const keys = new Map<string, Promise<CryptoKey>>();

export function isUnlocked(): boolean {
	return keys.size > 0;
}

export function lock(): void {
	keys.clear();
	openedEmails.value = new Map();
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
	const plain = atob(base64.replace(/-/g, '+').replace(/_/g, '/'));

	return Uint8Array.from(plain, (char) => char.charCodeAt(0));
}

/* "pbkdf2-sha256:600000" */
function roundsOf(kdf: string): number {
	const rounds = Number(/^pbkdf2-sha256:(\d{6,8})$/i.exec(kdf)?.[1]);

	if (!(rounds >= ROUNDS_MIN && rounds <= ROUNDS_MAX))
		throw new Error(`the key derivation ${kdf} is not known`);
	return rounds;
}

async function deriveKey(passphrase: string, sealed: SealedEmail): Promise<CryptoKey> {
	const material = await crypto.subtle.importKey(
		'raw', new TextEncoder().encode(passphrase), 'PBKDF2', false, ['deriveKey']);

	return crypto.subtle.deriveKey(
		{ name: 'PBKDF2', hash: 'SHA-256', salt: bytesOf(sealed.salt), iterations: roundsOf(sealed.kdf) },
		material, { name: 'AES-GCM', length: 256 }, false, ['decrypt']);
}

/* Authenticated with the text: an email that was moved to another member does not open. */
function boundTo(memberId: string): Uint8Array<ArrayBuffer> {
	return new TextEncoder().encode(`email ${memberId}`);
}

async function open(sealed: Sealed, key: CryptoKey): Promise<string> {
	const { iv, ct, tag, alg } = sealed.email_enc;
	const text = bytesOf(ct);
	const end = bytesOf(tag);
	const whole = new Uint8Array(text.length + end.length);

	if (alg.toLowerCase() !== 'aes-256-gcm')
		throw new Error(`the cipher ${alg} is not known`);
	whole.set(text);
	whole.set(end, text.length);
	return new TextDecoder('utf-8', { fatal: true }).decode(await crypto.subtle.decrypt(
		{ name: 'AES-GCM', iv: bytesOf(iv), additionalData: boundTo(sealed.member_id) }, key, whole));
}

/* Open what the passphrase opens. The result is how many did; with none the key is forgotten. */
export async function unlock(passphrase: string, all: readonly Sealed[]): Promise<number> {
	const opened = new Map(openedEmails.value);
	let count = 0;

	for (const sealed of all) {
		const form = `${sealed.email_enc.kdf} ${sealed.email_enc.salt}`;

		if (!keys.has(form) && keys.size < SALTS_MAX)
			keys.set(form, deriveKey(passphrase, sealed.email_enc));
		try {
			opened.set(sealed.member_id, await open(sealed, await keys.get(form)!));
			count++;
		} catch {
			/* another passphrase, or nothing that was sealed this way: it stays closed */
		}
	}
	if (count === 0)
		keys.clear();
	openedEmails.value = opened;
	return count;
}
