// The same work by the stores a user would pick: peers.mjs BIN SCRATCH EVENTS JSON. The clock runs over
// whole batches, each durable; rollups count every event once, or the row says that they do not. No
// time of a question is printed before all stores gave the same answer.
import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { loadavg } from 'node:os';
import { performance } from 'node:perf_hooks';
import { ClickHouse } from './clickhouse.mjs';
import { DuckDB } from './duckdb.mjs';
import { Tally } from './tally.mjs';
import { answerOf, ORGS, quantile, questions } from './questions.mjs';

const [bin, scratch, eventsText, json] = process.argv.slice(2);
const EVENTS = Number(eventsText), SMALL_EVENTS = Math.min(EVENTS, 100000);
const END_MS = Math.floor(Date.now() / 1000) * 1000;
const figures = [];

function figure(name, value, unit, goal = null) {
	const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 4;
	const met = goal === null ? null : value >= goal;
	figures.push({ name, value, unit, goal: goal === null ? null : `>= ${goal}`, met });
	console.log(`  ${name.padEnd(44)} ${value.toFixed(digits).padStart(9)} ${unit.padEnd(12)} `
		+ (goal === null ? '' : `>= ${goal}  ${met ? 'yes' : 'NO'}`));
	appendFileSync(json, JSON.stringify(figures.at(-1)) + '\n');
}

// The table of events in files of so many lines; -> paths, lines in all.
function split(table, size, lines) {
	const directory = `${scratch}/b${size}`, files = [];
	mkdirSync(directory, { recursive: true });
	for (let at = 0; at < lines.length; at += size) {
		const file = `${directory}/${String(files.length).padStart(6, '0')}.tsv`;
		const fd = openSync(file, 'w');
		writeSync(fd, lines.slice(at, at + size).join('\n') + '\n');
		closeSync(fd);
		files.push(file);
	}
	return files;
}

const distinct = (lines) => new Set(lines.map((line) => line.split('\t', 2).join(' '))).size;

// Push the files and say how it went: distinct events a second, processor time, what rollups count.
async function ingest(store, mode, files, events) {
	await store.begin(mode);
	const cpu = process.cpuUsage(), begun = performance.now();
	for (const file of files)
		await store.push(file, mode);
	await store.finish(mode);
	const seconds = (performance.now() - begun) / 1000, used = process.cpuUsage(cpu);
	return { rate: events / seconds / 1e6, cpu: (used.user + used.system) / events,
		counted: await store.count() };
}

// tally's turn comes before, between and after the others': a slow minute meets all of them.
async function ingestAll(stores, lines) {
	const small = lines.slice(0, SMALL_EVENTS), results = {}, tally = [ingestTally()];
	const sizes = [[1000, small], [10000, small], [100000, lines]];
	for (const [size, part] of sizes) {
		const files = split('events', size, part), events = distinct(part);
		for (const [store, modes] of stores) {
			for (const mode of modes) {
				if (mode === 'kept' && size === 100000 && part.length > 2e6)
					continue; // it slows down with what is there
				const got = await ingest(store, mode, files, events);
				const name = `${store.constructor.name.toLowerCase()}_${mode}_${size}`;
				const off = got.counted - events;
				figure(`${name}_rate`, got.rate, 'M events/s');
				figure(`${name}_cpu`, got.cpu, 'CPU-s/M');
				if (off !== 0)
					console.log(`    counts ${got.counted} of ${events} events: not once`);
				results[name] = { ...got, mode, size, isExact: off === 0 };
			}
		}
		tally.push(ingestTally());
	}
	return [results, tally];
}

// tally's own run, by ingest_bench; -> its figures by name.
function ingestTally() {
	const file = `${scratch}/tally.jsonl`;
	rmSync(file, { force: true });
	execFileSync(`${bin}/bench/ingest_bench`, ['--scratch', scratch, '--tallyd', `${bin}/tallyd`,
		'--json', file, '--events', EVENTS, '--only', 'rows', '--rounds', '1', '--end-ms', END_MS,
		'--keep', 'tally'], { stdio: ['ignore', 'ignore', 'inherit'] });
	return Object.fromEntries(readFileSync(file, 'utf8').trim().split('\n').map(JSON.parse)
		.map((entry) => [entry.name, entry.value]));
}

// One question to every org in turn; -> median and 99th of the times, in ms, and the answers.
async function askAll(store, question) {
	const times = [], answers = [];
	for (let org = 0; org < ORGS; org++) {
		const begun = performance.now();
		const got = await store.ask(question, org);
		times.push(performance.now() - begun);
		answers.push(JSON.stringify(answerOf(question, store.rows && store instanceof Tally
			? store.rows(question, got) : got)));
	}
	times.sort((a, b) => a - b);
	return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), answers };
}

async function askEverybody(stores) {
	for (const question of questions(END_MS)) {
		const results = [];
		for (const store of stores) {
			await askAll(store, question); // warm: nobody reads from the disk
			results.push([store, await askAll(store, question)]);
		}
		for (const [store, got] of results) {
			const differs = got.answers.findIndex((answer, i) => answer !== results[0][1].answers[i]);
			if (differs >= 0)
				throw new Error(`${question.name}, org ${differs}: ${store.name} says `
					+ `${got.answers[differs].slice(0, 300)}\n${results[0][0].name} says `
					+ results[0][1].answers[differs].slice(0, 300));
		}
		for (const [store, got] of results) {
			const name = `${store.constructor.name.toLowerCase()}_${question.name}`;
			figure(`${name}_p50`, got.p50, 'ms');
			figure(`${name}_p99`, got.p99, 'ms');
		}
		const best = Math.min(...results.slice(1).map(([, got]) => got.p50));
		figure(`best_peer_to_tally_${question.name}_p50`, best / results[0][1].p50, 'x', 10);
	}
}

function compareIngest(results, runs) {
	const middle = (name) => quantile(runs.map((run) => run[name]).sort((a, b) => a - b), 0.5);
	const rate = middle('rows_rate');
	const all = Object.values(results), exact = all.filter((got) => got.isExact);
	const current = all.filter((got) => got.mode !== 'rebuilt' && got.size === 1000);
	const best = (part) => Math.max(...part.map((got) => got.rate));
	figure('tally_1000_rate', rate, 'M events/s');
	figure('tally_1000_cpu', middle('rows_cpu'), 'CPU-s/M');
	figure('tally_to_best_peer_at_its_best_batch', rate / best(exact), 'x', 2);
	figure('tally_to_best_peer_current_at_1000', rate / best(current), 'x', 15);
	figure('tally_to_best_peer_rebuilt_at_1000',
		rate / best(exact.filter((got) => got.size === 1000)), 'x');
}

const clickhouse = new ClickHouse(scratch), duckdb = await DuckDB.open(scratch);
console.log(`${clickhouse.name} (chdb), ${duckdb.name}, node ${process.version}; ${EVENTS} events; `
	+ `load average ${loadavg()[0].toFixed(1)}`);
const table = `${scratch}/events.tsv`;
execFileSync(`${bin}/bench/export_bench`, ['--file', table, '--events', EVENTS, '--end-ms', END_MS]);
const lines = readFileSync(table, 'utf8').trimEnd().split('\n');
console.log('\ningest, each event once, rollups of members by hour and of repositories by session');
compareIngest(...await ingestAll([[clickhouse, ['rebuilt', 'views']], [duckdb, ['rebuilt', 'kept']]],
	lines));

console.log('\nquestions to 100 orgs in turn, warm; tally over nng, the others in this process');
await clickhouse.begin('rebuilt');
await duckdb.begin('rebuilt');
for (const file of split('events', 100000, lines)) {
	await clickhouse.push(file);
	await duckdb.push(file, 'rebuilt');
}
for (const store of [clickhouse, duckdb]) {
	await store.finish('rebuilt');
	await store.settle();
}
const tally = await Tally.open(bin, `${scratch}/tally`);
await askEverybody([tally, clickhouse, duckdb]);
await tally.close();
duckdb.close();
clickhouse.close();
console.log(`\n${figures.filter((f) => f.met === true).length} goals met, `
	+ `${figures.filter((f) => f.met === false).length} not; load average ${loadavg()[0].toFixed(1)}`);
