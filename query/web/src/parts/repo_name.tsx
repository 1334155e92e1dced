/* "github.com/acme/api": the last part is what people know it by, the rest is quiet. */
export function RepoName({ repo }: { repo: string }) {
	const cut = repo.lastIndexOf('/') + 1;
	const host = repo.slice(0, cut).replace(/^github\.com\//, '');

	return (
		<span class="repo-name" data-hint={repo}>
			<span class="repo-owner">{host}</span>
			<bdi class="repo-last">{repo.slice(cut)}</bdi>
		</span>
	);
}

/* Where a card leads; only addresses that a browser opens as a page. */
export function safeUrl(url: string | undefined): string | undefined {
	return url !== undefined && /^https?:\/\//.test(url) ? url : undefined;
}
