/* What a panel says when it has no figures: on their way, none, or a failure. */
import type { ComponentChildren } from 'preact';
import type { Failure } from '../api/ask';
import { Icon } from './icon';

interface EmptyProps {
	title: string;
	icon?: 'empty' | 'lock' | 'warn' | 'repo' | 'pull' | 'search' | 'seats';
	children?: ComponentChildren;
}

export function Empty({ title, icon = 'empty', children }: EmptyProps) {
	return (
		<div class="empty">
			<Icon name={icon} />
			<p class="empty-title">{title}</p>
			{children && <div class="empty-text">{children}</div>}
		</div>
	);
}

export function Failed({ failure, again }: { failure: Failure; again: () => void }) {
	if (failure.status === 403)
		return <Empty icon="lock" title="Not for your role">An admin of your org can see this.</Empty>;
	if (failure.status === 404)
		return <Empty icon="search" title="Not found">It does not exist, or is not yours to see.</Empty>;
	return (
		<div role="alert">
			<Empty icon="warn" title="These figures could not be read">
				<p>{failure.message} <code>{failure.code}</code></p>
				<button type="button" class="button" onClick={again}>Try again</button>
			</Empty>
		</div>
	);
}

/* Grey shapes where rows will be, of their height, so that nothing moves when they come. */
export function Skeleton({ rows, class: name }: { rows: number; class: string }) {
	return (
		<>
			{Array.from({ length: rows }, (_, i) => <div key={i} class={`skeleton ${name}`} aria-hidden="true" />)}
		</>
	);
}
