/* A person's name; of an email the part before the @ is what tells people apart. */
export function Name({ text }: { text: string }) {
	const at = text.indexOf('@');

	return at <= 0 ? <bdi>{text}</bdi> : <bdi>{text.slice(0, at)}<span class="name-rest">{text.slice(at)}</span></bdi>;
}
