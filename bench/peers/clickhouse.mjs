// ClickHouse in process (chdb): ReplacingMergeTree, every insert synced. Exact only under FINAL, so
// the rollups are made from FINAL once at the end ("rebuilt"); kept by materialized views they count
// resends twice ("views").
import { createRequire } from 'node:module';
import { parts, TOKENS, TOP, REPOS } from './questions.mjs';

const { Session } = createRequire(import.meta.url)('chdb');
const TYPES = 'org UInt16, id UUID, ts Int64, member UInt32, agent UInt8, session UInt32, '
	+ 'model UInt8, input UInt32, output UInt32, cache_read UInt32, cache_write UInt32, '
	+ 'cost Int64, saved UInt32, repo UInt32, pr UInt32, status UInt16';
const SYNCED = 'SETTINGS fsync_after_insert = 1, fsync_part_directory = 1';
const CELLS = `SELECT org, intDiv(ts, 3600000) AS hour, member, sum(cost) AS cost, `
	+ `sum(${TOKENS}) AS tokens, count() AS requests`;
const VISITS = 'SELECT DISTINCT org, intDiv(ts, 3600000) AS hour, repo, session';

export class ClickHouse {
	modes = ['rebuilt', 'views'];

	constructor(directory) {
		this.session = new Session(`${directory}/clickhouse`);
		this.version = this.rows('SELECT version()')[0][0];
		this.name = `ClickHouse ${this.version}`;
	}

	run(sql) {
		return this.session.query(sql, 'TSV');
	}

	rows(sql) {
		return this.run(sql).split('\n').filter(Boolean).map((line) => line.split('\t')
			.map((cell) => cell.replaceAll('"', '')));
	}

	begin(mode) {
		for (const name of ['cells_view', 'visits_view', 'events', 'cells', 'visits'])
			this.run(`DROP TABLE IF EXISTS bench.${name} SYNC`);
		this.run('CREATE DATABASE IF NOT EXISTS bench');
		this.run(`CREATE TABLE bench.events (${TYPES}) ENGINE = ReplacingMergeTree `
			+ `ORDER BY (org, intDiv(ts, 86400000), id) ${SYNCED}`);
		if (mode !== 'views')
			return;
		this.run('CREATE TABLE bench.cells (org UInt16, hour Int64, member UInt32, cost Int64, '
			+ `tokens UInt64, requests UInt64) ENGINE = SummingMergeTree ORDER BY (org, hour, member) ${SYNCED}`);
		this.run('CREATE TABLE bench.visits (org UInt16, hour Int64, repo UInt32, session UInt32) '
			+ `ENGINE = ReplacingMergeTree ORDER BY (org, hour, repo, session) ${SYNCED}`);
		this.run(`CREATE MATERIALIZED VIEW bench.cells_view TO bench.cells AS ${CELLS} `
			+ 'FROM bench.events GROUP BY org, hour, member');
		this.run(`CREATE MATERIALIZED VIEW bench.visits_view TO bench.visits AS ${VISITS} `
			+ 'FROM bench.events WHERE repo > 0');
	}

	async push(file) {
		this.run(`INSERT INTO bench.events SELECT * FROM file('${file}', 'TSV', '${TYPES}')`);
	}

	async finish(mode) {
		if (mode === 'views')
			return;
		this.run('CREATE TABLE bench.cells ENGINE = MergeTree ORDER BY (org, hour, member) '
			+ `${SYNCED} AS ${CELLS} FROM bench.events FINAL GROUP BY org, hour, member`);
		this.run('CREATE TABLE bench.visits ENGINE = MergeTree ORDER BY (org, hour, repo, session) '
			+ `${SYNCED} AS ${VISITS} FROM bench.events FINAL WHERE repo > 0`);
	}

	async settle() {
		for (const name of ['events', 'cells', 'visits'])
			this.run(`OPTIMIZE TABLE bench.${name} FINAL`);
	}

	async count() {
		return Number(this.rows('SELECT sum(requests) FROM bench.cells')[0][0]);
	}

	async ask(question, org, window) {
		const { first, last, edges } = parts(window);
		if (question.op === 'top_repos')
			return this.rows(`SELECT repo, uniqExact(session) AS n FROM bench.visits WHERE org = ${org} `
				+ `AND hour >= ${first} AND hour < ${last} GROUP BY repo ORDER BY n DESC, repo LIMIT ${REPOS}`);
		const inside = `SELECT member, cost, tokens, requests FROM bench.cells WHERE org = ${org} `
			+ `AND hour >= ${first} AND hour < ${last}`;
		const outside = edges.map(([from, to]) => ` UNION ALL SELECT member, cost, ${TOKENS}, 1 FROM `
			+ `bench.events FINAL WHERE org = ${org} AND intDiv(ts, 86400000) >= ${Math.floor(from / 86400000)} `
			+ `AND intDiv(ts, 86400000) <= ${Math.floor(to / 86400000)} AND ts >= ${from} AND ts < ${to}`);
		return this.rows(`SELECT member, sum(cost) AS c, sum(tokens), sum(requests) FROM (${inside}`
			+ `${outside.join('')}) GROUP BY member ORDER BY c DESC, member LIMIT ${TOP}`);
	}

	close() {
		this.session.cleanup();
	}
}
