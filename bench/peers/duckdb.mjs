// DuckDB in process. "kept": a primary key and rollups in each batch's transaction, exact at any
// moment. "rebuilt": batches are appended, and duplicates taken out and rollups made once at the end.
import { DuckDBInstance } from '@duckdb/node-api';
import { columns, parts, TOKENS, TOP, REPOS } from './questions.mjs';

const TYPES = { org: 'USMALLINT', id: 'UUID', ts: 'BIGINT', cost: 'BIGINT', agent: 'UTINYINT',
	model: 'UTINYINT', status: 'USMALLINT' };
const DECLARED = columns.map((name) => `${name} ${TYPES[name] ?? 'UINTEGER'}`).join(', ');
const READ = columns.map((name) => `'${name}': '${TYPES[name] ?? 'UINTEGER'}'`).join(', ');
const CELLS = `SELECT org, ts // 3600000 AS hour, member, sum(cost)::BIGINT AS cost, `
	+ `sum(${TOKENS})::BIGINT AS tokens, count(*) AS requests`;
const VISITS = 'SELECT DISTINCT org, ts // 3600000 AS hour, repo, session';

export class DuckDB {
	modes = ['rebuilt', 'kept'];

	static async open(directory) {
		const duck = new DuckDB();
		duck.path = `${directory}/duckdb.db`;
		duck.instance = await DuckDBInstance.create(duck.path);
		duck.connection = await duck.instance.connect();
		duck.version = (await duck.rows('SELECT version()'))[0][0];
		duck.name = `DuckDB ${duck.version}`;
		return duck;
	}

	async run(sql) {
		await this.connection.run(sql);
	}

	async rows(sql) {
		return (await this.connection.runAndReadAll(sql)).getRows();
	}

	async begin(mode) {
		for (const name of ['events', 'cells', 'visits'])
			await this.run(`DROP TABLE IF EXISTS ${name}`);
		const key = mode === 'kept';
		await this.run(`CREATE TABLE events (${DECLARED}${key ? ', PRIMARY KEY (org, id)' : ''})`);
		if (!key)
			return;
		await this.run('CREATE TABLE cells (org USMALLINT, hour BIGINT, member UINTEGER, cost BIGINT, '
			+ 'tokens BIGINT, requests BIGINT, PRIMARY KEY (org, hour, member))');
		await this.run('CREATE TABLE visits (org USMALLINT, hour BIGINT, repo UINTEGER, '
			+ 'session UINTEGER, PRIMARY KEY (org, hour, repo, session))');
	}

	async push(file, mode) {
		const rows = `read_csv('${file}', delim = '\t', header = false, auto_detect = false, columns = {${READ}})`;
		if (mode !== 'kept') {
			await this.run(`INSERT INTO events SELECT * FROM ${rows}`);
			return;
		}
		await this.run('BEGIN');
		await this.run('CREATE OR REPLACE TEMP TABLE fresh AS SELECT DISTINCT ON (org, id) * '
			+ `FROM ${rows} AS b ANTI JOIN events USING (org, id)`);
		await this.run('INSERT INTO events SELECT * FROM fresh');
		await this.run(`INSERT INTO cells ${CELLS} FROM fresh GROUP BY ALL ON CONFLICT DO UPDATE SET `
			+ 'cost = cost + excluded.cost, tokens = tokens + excluded.tokens, '
			+ 'requests = requests + excluded.requests');
		await this.run(`INSERT INTO visits ${VISITS} FROM fresh WHERE repo > 0 ON CONFLICT DO NOTHING`);
		await this.run('COMMIT');
	}

	async finish(mode) {
		if (mode === 'kept')
			return;
		await this.run('CREATE OR REPLACE TABLE events AS SELECT DISTINCT ON (org, id) * FROM events');
		await this.run(`CREATE TABLE cells AS ${CELLS} FROM events GROUP BY ALL ORDER BY org, hour, member`);
		await this.run(`CREATE TABLE visits AS ${VISITS} FROM events WHERE repo > 0 ORDER BY ALL`);
	}

	async settle() {
		await this.run('CHECKPOINT');
	}

	async count() {
		return Number((await this.rows('SELECT sum(requests) FROM cells'))[0][0]);
	}

	async ask(question, org, window) {
		const { first, last, edges } = parts(window);
		if (question.op === 'top_repos')
			return this.rows(`SELECT repo, count(DISTINCT session) AS n FROM visits WHERE org = ${org} `
				+ `AND hour >= ${first} AND hour < ${last} GROUP BY repo ORDER BY n DESC, repo LIMIT ${REPOS}`);
		const inside = `SELECT member, cost, tokens, requests FROM cells WHERE org = ${org} `
			+ `AND hour >= ${first} AND hour < ${last}`;
		const outside = edges.map(([from, to]) => ` UNION ALL SELECT member, cost, ${TOKENS}, 1 `
			+ `FROM events WHERE org = ${org} AND ts >= ${from} AND ts < ${to}`);
		return this.rows(`SELECT member, sum(cost) AS c, sum(tokens), sum(requests) FROM (${inside}`
			+ `${outside.join('')}) GROUP BY member ORDER BY c DESC, member LIMIT ${TOP}`);
	}

	close() {
		this.connection.closeSync();
	}
}
