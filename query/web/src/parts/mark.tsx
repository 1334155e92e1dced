/* The name of the thing. */
export function Mark() {
	return (
		<span class="mark">
			<svg viewBox="0 0 32 32" aria-hidden="true">
				<rect width="32" height="32" rx="8" />
				<path d="M8.5 8v16M13.5 8v16M18.5 8v16M23.5 8v16M5.5 21 26.5 11" />
			</svg>
			tally
		</span>
	);
}
