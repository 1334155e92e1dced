/*
 * Bars over time. uPlot draws shares of a round top value; what is read, in the bubble and on the
 * axis, is made from the exact values. Arrow keys go from bin to bin.
 */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Window } from '../api/shapes';
import { axisOf, exactOf, wholeOf, type Metric, type Value } from '../figures/metric';
import { FULL, largest, sharesOf, stepsOver } from '../figures/scale';
import { binOf, isMidnight, tickOf } from '../figures/time';
import { theme } from '../theme';

const TICK_PX = 68;

interface Props {
	label: string;
	window: Window;
	metric: Metric;
	bars: readonly Value[];
}

interface Size {
	width: number;
	height: number;
}

interface Drawn extends Props {
	steps: bigint[];
	shares: number[];
	ticks: number[];
}

function drawnOf(props: Props): Drawn {
	const wholes = props.bars.map(wholeOf);
	const steps = stepsOver(largest(wholes));

	return {
		...props, steps,
		shares: sharesOf(wholes, steps[steps.length - 1]!),
		ticks: ticksOf(props.window),
	};
}

/* Bins that may be written under: midnights where bins are shorter than days, else all. */
function ticksOf({ bins, bin_edges_ms: edges, tz }: Window): number[] {
	const all = Array.from({ length: bins }, (_, i) => i);
	const midnights = all.filter((i) => isMidnight(edges[i]!, tz));

	return midnights.length > 2 ? midnights : all;
}

/* As many as have room, the last not over the edge. */
function thinned(ticks: readonly number[], bins: number, width: number): number[] {
	const every = Math.max(1, Math.ceil((ticks.length * TICK_PX) / Math.max(width, 1)));

	return ticks.filter((bin, i) => i % every === 0 && ((bin + 0.5) / bins) * width < width - TICK_PX / 3);
}

/* Of the longest label of the axis. */
function axisWidth(labels: readonly string[] | null): number {
	return Math.max(44, 16 + 6.4 * Math.max(0, ...(labels ?? []).map((label) => label.length)));
}

function colour(name: string): string {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axisFont(): string {
	return `11px ${colour('--font')}`;
}

function optionsOf(drawn: { current: Drawn }, size: Size, point: (bin: number | null) => void): uPlot.Options {
	const quiet = colour('--text-3');
	const grid = { stroke: colour('--line'), width: 1 };
	const done = colour('--bar');
	const open = colour('--bar-open');
	const bars = () => drawn.current.shares.length;
	const fills = () => drawn.current.shares.map((_, i, all) =>
		i === all.length - 1 && isOpen(drawn.current.window) ? open : done);

	return {
		...size, padding: [8, 0, 0, 0], legend: { show: false },
		cursor: { x: false, y: false, points: { show: false }, drag: { x: false, y: false } },
		scales: {
			x: { time: false, range: () => [-0.5, bars() - 0.5] },
			y: { range: [0, FULL] },
		},
		axes: [
			{
				stroke: quiet, font: axisFont(), grid: { show: false }, ticks: { show: false }, size: 28,
				splits: (plot) => thinned(drawn.current.ticks, bars(), plot.bbox.width / devicePixelRatio),
				values: (_, splits) =>
					splits.map((i) => tickOf(drawn.current.window.bin_edges_ms[i]!, drawn.current.window.tz)),
			},
			{
				stroke: quiet, font: axisFont(), grid, ticks: { show: false }, gap: 8,
				size: (_, labels) => axisWidth(labels),
				splits: () => drawn.current.steps.map((_, i, all) => Math.round((FULL * i) / Math.max(all.length - 1, 1))),
				values: () => drawn.current.steps.map((step) => axisOf(drawn.current.metric, step)),
			},
		],
		series: [
			{},
			{
				width: 0,
				points: { show: false },
				paths: uPlot.paths.bars!({
					size: [0.7, 56], radius: [0.2, 0], gap: 0,
					disp: { fill: { unit: 3, values: fills } },
				}),
			},
		],
		hooks: { setCursor: [(plot) => point(plot.cursor.left! < 0 ? null : plot.posToIdx(plot.cursor.left!))] },
	};
}

/* The last bin is not over yet. */
function isOpen(window: Window): boolean {
	return window.range !== 'custom' || window.end_ms > Date.now();
}

export function Chart(props: Props) {
	const box = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const drawn = useRef<Drawn>(drawnOf(props));
	const [bin, point] = useState<number | null>(null);
	const last = props.bars.length - 1;

	drawn.current = drawnOf(props);
	/* Colours are in the plot; all else it asks for when it draws. */
	useEffect(() => {
		const element = box.current!;
		const size = () => ({ width: Math.max(element.clientWidth, 120), height: element.clientHeight });
		const made = new uPlot(optionsOf(drawn, size(), point), dataOf(drawn.current), element);
		const resizes = new ResizeObserver(() => made.setSize(size()));

		plot.current = made;
		resizes.observe(element);
		return () => {
			resizes.disconnect();
			made.destroy();
		};
	}, [theme.value]);
	useEffect(() => plot.current?.setData(dataOf(drawn.current)), [props.bars, props.window]);

	const onKey = (event: KeyboardEvent) => {
		const to = { ArrowLeft: (bin ?? last + 1) - 1, ArrowRight: (bin ?? -1) + 1, Home: 0, End: last }[event.key];

		if (event.key === 'Escape')
			point(null);
		if (to === undefined)
			return;
		event.preventDefault();
		point(Math.max(0, Math.min(to, last)));
	};
	const at = bin === null ? null : Math.min(bin, last);

	return (
		<div class="chart" role="slider" tabIndex={0} aria-label={props.label} aria-orientation="horizontal"
			aria-valuemin={0} aria-valuemax={Math.max(last, 0)} aria-valuenow={at ?? last}
			aria-valuetext={sayBin(props, at ?? last)} onKeyDown={onKey}
			onFocus={(event) => event.currentTarget.matches(':focus-visible') && point(at ?? last)}
			onBlur={() => point(null)} onPointerLeave={() => point(null)}>
			<div ref={box} class="chart-plot" aria-hidden="true" />
			{at !== null && plot.current !== null && <Bubble plot={plot.current} bin={at} {...props} />}
		</div>
	);
}

function dataOf({ shares }: Drawn): uPlot.AlignedData {
	return [shares.map((_, i) => i), shares];
}

function sayBin({ window, metric, bars }: Props, bin: number): string {
	const edges = window.bin_edges_ms;

	if (bars[bin] === undefined)
		return 'nothing';
	return `${binOf(edges[bin]!, edges[bin + 1]!, window.tz)}: ${exactOf(metric, bars[bin]!)}`;
}

function Bubble({ plot, bin, window, metric, bars }: Props & { plot: uPlot; bin: number }) {
	const left = plot.bbox.left / devicePixelRatio;
	const slot = plot.bbox.width / devicePixelRatio / bars.length;
	const middle = left + (bin + 0.5) * slot;
	const edges = window.bin_edges_ms;
	const bubble = useRef<HTMLDivElement>(null);

	/* Over its bin, but never out of the chart. */
	useLayoutEffect(() => {
		const element = bubble.current!;
		const room = element.offsetParent!.clientWidth - element.offsetWidth;

		element.style.left = `${Math.max(0, Math.min(middle - element.offsetWidth / 2, room))}px`;
	});

	return (
		<>
			<div class="chart-column" style={{ left: `${left + bin * slot}px`, width: `${slot}px` }} />
			<div ref={bubble} class="chart-bubble">
				<strong>{exactOf(metric, bars[bin]!)}</strong>
				<span>{binOf(edges[bin]!, edges[bin + 1]!, window.tz)}</span>
				{bin === bars.length - 1 && isOpen(window) && <em>in progress</em>}
			</div>
		</>
	);
}
