/* One of a few, side by side: radio buttons, so arrow keys choose. */
interface Props<V extends string> {
	name: string;
	label: string;
	options: readonly { value: V; label: string; hint?: string }[];
	value: V;
	choose: (value: V) => void;
}

export function Choice<V extends string>({ name, label, options, value, choose }: Props<V>) {
	return (
		<fieldset class="choice">
			<legend class="unseen">{label}</legend>
			{options.map((option) => (
				<label key={option.value} data-hint={option.hint}>
					<input type="radio" name={name} value={option.value} checked={option.value === value}
						onChange={() => choose(option.value)} />
					<span>{option.label}</span>
				</label>
			))}
		</fieldset>
	);
}
