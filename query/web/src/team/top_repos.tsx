/* The repositories with the most sessions. */
import type { TeamScreen } from '../api/team';
import { grouped, plural } from '../figures/count';
import { RepoName, safeUrl } from '../parts/repo_name';
import { Empty } from '../parts/state';

export function TopRepos({ top }: { top: TeamScreen['top_repos'] }) {
	return (
		<section class="panel top-repos" aria-labelledby="top-repos-title">
			<header class="panel-head">
				<h2 id="top-repos-title" class="panel-title">Top repositories</h2>
				{top.repos.length > 0 && <span class="quiet">by sessions</span>}
			</header>
			{top.repos.length > 0 ? <Rows top={top} /> : <Nothing state={top.state} />}
			{top.repos.length > 0 && top.state === 'not_connected' && (
				<p class="panel-note">GitHub is not connected: these come from usage that names them.</p>
			)}
		</section>
	);
}

function Rows({ top: { repos } }: { top: TeamScreen['top_repos'] }) {
	const most = Number(repos[0]!.sessions);

	return (
		<ol class="bars">
			{repos.map((repo) => (
				<li key={repo.repo}>
					<a href={safeUrl(repo.url)} target="_blank" rel="noopener noreferrer"
						data-hint={`${repo.repo}\n${plural(repo.sessions, 'session')}`}>
						<span class="bars-bar" style={{ width: `${(Number(repo.sessions) / most) * 100}%` }} />
						<RepoName repo={repo.repo} />
						<span class="bars-value">{grouped(repo.sessions)}</span>
					</a>
				</li>
			))}
		</ol>
	);
}

function Nothing({ state }: { state: TeamScreen['top_repos']['state'] }) {
	if (state === 'not_connected')
		return (
			<Empty icon="repo" title="Connect GitHub">
				An admin of the org connects it. Repositories that usage names appear here without it, too.
			</Empty>
		);
	return <Empty icon="repo" title="No repository activity in this period" />;
}
