/* A fault of a page is said on it; the rest of the window goes on. */
import { Component, type ComponentChildren } from 'preact';
import { Empty } from './state';

interface Props {
	children: ComponentChildren;
	/* Another one is another page, and a new try. */
	page: string;
}

export class Broken extends Component<Props, { page: string | null }> {
	override state = { page: null };

	override componentDidCatch(error: unknown): void {
		console.error(error);
		this.setState({ page: this.props.page });
	}

	override render({ children, page }: Props) {
		if (this.state.page !== page)
			return children;
		return (
			<div class="panel" role="alert">
				<Empty icon="warn" title="This page cannot be shown">
					<p>That is a fault of tally. The figures are not touched by it.</p>
					<button type="button" class="button" onClick={() => location.reload()}>Load it again</button>
				</Empty>
			</div>
		);
	}
}
