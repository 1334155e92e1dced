/* A sparkline on its own scale: a line over its area, the last bin in progress as a dot. */
import { memo } from './memo';
import { FULL, largest, sharesOf } from '../figures/scale';
import { wholeOf, type Value } from '../figures/metric';

const WIDTH = 240;
const HEIGHT = 44;
const PAD = 3;

function pointsOf(values: readonly Value[]): [number, number][] {
	const wholes = values.map(wholeOf);
	const shares = sharesOf(wholes, largest(wholes));
	const step = (WIDTH - 2 * PAD) / Math.max(values.length - 1, 1);

	/* One bin is a level, not a point. */
	if (shares.length === 1)
		shares.push(shares[0]!);
	return shares.map((share, i) => [
		Math.round((PAD + i * step) * 10) / 10,
		Math.round((HEIGHT - PAD - (share / FULL) * (HEIGHT - 2 * PAD)) * 10) / 10,
	]);
}

export const Spark = memo(({ values }: { values: readonly Value[] }) => {
	const points = pointsOf(values);
	const line = `M${points.map(([x, y]) => `${x} ${y}`).join('L')}`;
	const last = points[points.length - 1];
	const floor = HEIGHT - PAD;

	if (last === undefined)
		return <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
	return (
		<svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
			<path class="spark-area" d={`${line}L${last[0]} ${floor}L${PAD} ${floor}Z`} />
			<path class="spark-line" d={line} />
			<path class="spark-end" d={`M${last[0]} ${last[1]}h0`} />
		</svg>
	);
}, (before, after) => sameValues(before.values, after.values));

/* A refresh brings new lists with mostly the same values. */
function sameValues(before: readonly Value[], after: readonly Value[]): boolean {
	return before.length === after.length && before.every((value, i) => value === after[i]);
}
