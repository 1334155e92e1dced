// The same work by the stores a user would pick: peers.mjs BIN SCRATCH EVENTS JSON. The clock runs over
// whole batches, each durable; rollups count every event once, or the row says that they do not. No
// time of a question is printed before all stores gave the same answer.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { performance } from 'node:perf_hooks';
import { ClickHouse } from './clickhouse.mjs';
import { DuckDB } from './duckdb.mjs';
import { Tally } from './tally.mjs';
import { answerOf, median, ORGS, quantile, questions } from './questions.mjs';

const [bin, scratch, eventsText, json] = process.argv.slice(2);
const EVENTS = Number(eventsText), ROUNDS = 3;
const END_MS = Math.floor(Date.now() / 1000) * 1000;
// Lines of a batch, lines in all, and the modes: what falls behind gets a part.
const RUNS = [
	[1000, 100000, ['rebuilt', 'views', 'kept']],
	[10000, 1000000, ['rebuilt', 'views', 'kept']],
	[100000, 1000000, ['kept']],
	[100000, Infinity, ['rebuilt', 'views']],
	[1000000, Infinity, ['rebuilt']],
];
const figures = [];

function figure(name, value, unit, goal = null) {
	const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 4;
	const met = goal === null ? null : value >= goal;
	figures.push({ name, value, unit, goal: goal === null ? null : `>= ${goal}`, met });
	console.log(`  ${name.padEnd(44)} ${value.toFixed(digits).padStart(9)} ${unit.padEnd(12)} `
		+ (goal === null ? '' : `>= ${goal}  ${met ? 'yes' : 'NO'}`));
	appendFileSync(json, JSON.stringify(figures.at(-1)) + '\n');
}

// The first lines of the table in files of so many; -> their paths.
function split(table, size, count) {
	const directory = `${scratch}/batches`;
	rmSync(directory, { recursive: true, force: true });
	mkdirSync(directory);
	const head = Number.isFinite(count) ? `head -n ${count}` : 'cat';
	execFileSync('sh', ['-c', `${head} "$1" | split -l ${size} -a 6 -d - "$2/"`, 'sh', table, directory]);
	return readdirSync(directory).sort().map((name) => `${directory}/${name}`);
}

// Different events in the files: org and id are the first columns.
function distinct(files) {
	const seen = new Set();
	for (const file of files)
		for (const line of readFileSync(file, 'utf8').trimEnd().split('\n'))
			seen.add(line.split('\t', 2).join(' '));
	return seen.size;
}

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

// tally's turn comes before, between and after the others': a slow minute meets all of them. What
// the last run made stays, for the questions.
async function ingestAll(stores, table) {
	const results = [], tally = [ingestTally()];
	for (const [size, count, modes] of RUNS) {
		const files = split(table, size, count);
		const events = Number.isFinite(count) ? distinct(files) : EVENTS;
		for (const store of stores) {
			for (const mode of modes.filter((wanted) => store.modes.includes(wanted))) {
				const got = await ingest(store, mode, files, events);
				const name = `${store.constructor.name.toLowerCase()}_${mode}_${size}`;
				figure(`${name}_rate`, got.rate, 'M events/s');
				figure(`${name}_cpu`, got.cpu, 'CPU-s/M');
				if (got.counted !== events)
					console.log(`    counts ${got.counted} of ${events} events: not once`);
				results.push({ ...got, mode, size, isExact: got.counted === events });
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

// One question to every org of a peer in turn, in the windows that tally had; as Tally.askAll.
async function askPeer(store, question, windows) {
	const times = [], orgs = [];
	for (let org = 0; org < ORGS; org++) {
		const begun = performance.now();
		const rows = await store.ask(question, org, windows[org]);
		times.push(performance.now() - begun);
		orgs.push({ rows });
	}
	times.sort((a, b) => a - b);
	return { p50_ms: quantile(times, 0.5), p99_ms: quantile(times, 0.99), orgs };
}

function compareAnswers(question, tally, store, got) {
	for (let org = 0; org < ORGS; org++) {
		const ours = answerOf(question, tally.orgs[org].rows), theirs = answerOf(question, got.orgs[org].rows);
		if (ours !== theirs)
			throw new Error(`${question.name}, org ${org}: ${store.name} says ${theirs.slice(0, 300)}\n`
				+ `tally says ${ours.slice(0, 300)}`);
	}
}

// All stores in turns: once to warm them, so that nobody reads from the disk, then the rounds.
async function askEverybody(tally, peers) {
	for (const question of questions(END_MS)) {
		const rounds = new Map([tally, ...peers].map((store) => [store, []]));
		for (let round = 0; round <= ROUNDS; round++) {
			const ours = await tally.askAll(question);
			rounds.get(tally).push(ours);
			for (const peer of peers) {
				const got = await askPeer(peer, question, ours.orgs);
				compareAnswers(question, ours, peer, got);
				rounds.get(peer).push(got);
			}
		}
		const p50s = [...rounds].map(([store, all]) => printTimes(store, question, all.slice(1)));
		figure(`best_peer_to_tally_${question.name}_p50`, Math.min(...p50s.slice(1)) / p50s[0], 'x', 10);
	}
}

function printTimes(store, question, rounds) {
	const name = `${store.constructor.name.toLowerCase()}_${question.name}`;
	const p50 = median(rounds.map((got) => got.p50_ms));
	figure(`${name}_p50`, p50, 'ms');
	figure(`${name}_p99`, median(rounds.map((got) => got.p99_ms)), 'ms');
	return p50;
}

function compareIngest(results, runs) {
	const rate = median(runs.map((run) => run.rows_rate));
	const best = (isWanted) => Math.max(...results.filter(isWanted).map((got) => got.rate));
	figure('tally_1000_rate', rate, 'M events/s');
	figure('tally_1000_cpu', median(runs.map((run) => run.rows_cpu)), 'CPU-s/M');
	figure('tally_to_best_peer_at_its_best_batch', rate / best((got) => got.isExact), 'x', 2);
	figure('tally_to_best_peer_current_at_1000',
		rate / best((got) => got.mode !== 'rebuilt' && got.size === 1000), 'x', 15);
	figure('tally_to_best_peer_rebuilt_at_1000',
		rate / best((got) => got.isExact && got.mode === 'rebuilt' && got.size === 1000), 'x');
}

const clickhouse = new ClickHouse(scratch), duckdb = await DuckDB.open(scratch);
console.log(`${clickhouse.name} (chdb), ${duckdb.name}, node ${process.version}; ${EVENTS} events; `
	+ `load average ${loadavg()[0].toFixed(1)}`);
const table = `${scratch}/events.tsv`;
execFileSync(`${bin}/bench/export_bench`, ['--file', table, '--events', EVENTS, '--end-ms', END_MS]);
console.log('\ningest, each event once, rollups of members by hour and of repositories by session');
compareIngest(...await ingestAll([clickhouse, duckdb], table));

console.log('\nquestions to 100 orgs in turn, warm; tally over nng, the others in the process that asks');
for (const store of [clickhouse, duckdb])
	await store.settle();
const tally = new Tally(bin, `${scratch}/tally`);
await askEverybody(tally, [clickhouse, duckdb]);
await tally.close();
duckdb.close();
clickhouse.close();
console.log(`\n${figures.filter((f) => f.met === true).length} goals met, `
	+ `${figures.filter((f) => f.met === false).length} not; load average ${loadavg()[0].toFixed(1)}`);
