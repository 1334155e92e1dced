/* A component that is drawn again only when same says no. */
import { Component, type ComponentChildren, type FunctionComponent } from 'preact';

export function memo<P extends object>(
	draw: (props: P) => ComponentChildren, same: (before: P, after: P) => boolean,
): FunctionComponent<P> {
	class Memo extends Component<P> {
		override shouldComponentUpdate(next: P): boolean {
			return !same(this.props as P, next);
		}

		override render(props: P) {
			return draw(props);
		}
	}
	return Memo as unknown as FunctionComponent<P>;
}
