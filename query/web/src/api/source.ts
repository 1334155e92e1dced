/*
 * The answer to the question a page stands on. While another question is on its way the last answer
 * stays, so that nothing on the page jumps; a failure keeps it too, and says so.
 */
import { computed, signal, type ReadonlySignal } from '@preact/signals';
import { Failure } from './ask';

export interface Answer<T> {
	question: string;
	data: T;
}

export class Source<T> {
	readonly answer = signal<Answer<T> | null>(null);
	readonly failure = signal<Failure | null>(null);
	readonly isAsking = signal(false);
	readonly data: ReadonlySignal<T | null> = computed(() => this.answer.value?.data ?? null);
	private asked: AbortController | null = null;
	private question = '';

	constructor(private readonly fetchOf: (question: string, signal: AbortSignal) => Promise<T>) {}

	/* Ask, unless this is what was asked last. */
	ask(question: string): void {
		if (question !== this.question)
			void this.fetch(question);
	}

	/* The same question again: after a live event, or because a person wants to. */
	again(): Promise<void> {
		return this.fetch(this.question);
	}

	/* Leave the page: what is on its way is not wanted, what was shown may be shown again. */
	leave(): void {
		this.asked?.abort();
		this.question = '';
		this.isAsking.value = false;
	}

	/* Forget everything, for whoever is next before this screen. */
	forget(): void {
		this.leave();
		this.answer.value = null;
		this.failure.value = null;
	}

	private async fetch(question: string): Promise<void> {
		const mine = new AbortController();

		this.asked?.abort();
		this.asked = mine;
		this.question = question;
		this.isAsking.value = true;
		try {
			const data = await this.fetchOf(question, mine.signal);

			if (mine.signal.aborted)
				return;
			this.answer.value = { question, data };
			this.failure.value = null;
		} catch (error) {
			if (mine.signal.aborted)
				return;
			this.failure.value = error instanceof Failure ? error : new Failure('internal', String(error));
		}
		this.isAsking.value = false;
	}
}
