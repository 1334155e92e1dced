// tally, asked by a program in C over nng (ask_bench) on the directory that ingest_bench left.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ORGS } from './questions.mjs';

export class Tally {
	constructor(bin, directory) {
		this.name = 'tally';
		this.process = spawn(`${bin}/bench/ask_bench`, ['--tallyd', `${bin}/tallyd`, '--data', directory],
			{ stdio: ['pipe', 'pipe', 'inherit'] });
		this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
	}

	// The question to every org; -> {p50_ms, p99_ms, orgs: [{from, to, rows}]}.
	async askAll(question) {
		const { op, range, limit, from, to } = question;
		this.process.stdin.write([op, range, limit, ...(range === 'custom' ? [from, to] : [])].join(' ') + '\n');
		const { value, done } = await this.lines.next();
		const got = done ? null : JSON.parse(value);
		if (got?.orgs.length !== ORGS)
			throw new Error('tally: no answers');
		return got;
	}

	async close() {
		const ended = new Promise((resolve) => this.process.on('exit', resolve));
		this.process.stdin.end();
		await ended;
	}
}
