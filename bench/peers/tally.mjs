// tally, over its sockets: a daemon on the directory that ingest_bench left.
import { spawn } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { existsSync } from 'node:fs';
import { Req, unpack } from './nng.mjs';

const orgName = (org) => org === 0 ? 'acme' : `org-${String(org + 1).padStart(3, '0')}`;

export class Tally {
	static async open(bin, directory) {
		const tally = new Tally();
		tally.name = 'tally';
		tally.daemon = spawn(`${bin}/tallyd`, ['--data', directory, '--ingest', 'none', '--query', 'none',
			'--accept-past-days', '100'], { stdio: 'ignore' });
		const socket = `${directory}/query-control.sock`;
		for (let i = 0; i < 600; i++) {
			await setTimeout(100);
			if (existsSync(socket)) {
				try {
					tally.req = await Promise.race([Req.open(socket), setTimeout(500).then(() => null)]);
				} catch {
					continue;
				}
			}
			if (tally.req)
				return tally;
		}
		throw new Error('tallyd does not start');
	}

	async ask(question, org) {
		const what = question.kind === 'top' ? { op: 'leaderboard', limit: 50 } : { op: 'top_repos', limit: 20 };
		return this.req.ask({ v: 1, org: orgName(org), range: 'custom', from: question.from, to: question.to,
			tz: 'UTC', metric: 'cost', ...what });
	}

	// The rows of a reply as the other stores give theirs.
	rows(question, bytes) {
		const reply = unpack(bytes);
		if (reply.ok === false)
			throw new Error(`tally: ${reply.error.code}: ${reply.error.message}`);
		if (question.kind === 'repos')
			return reply.repos.map((repo) => [repo.repo, repo.sessions]);
		return reply.members.filter((member) => member.requests > 0)
			.map((member) => [member.email, member.cost_nusd, member.tokens, member.requests]);
	}

	async close() {
		this.req.close();
		this.daemon.kill('SIGTERM');
		await new Promise((resolve) => this.daemon.on('exit', resolve));
	}
}

