/* A disc with initials in a colour that stays with the member. */
const COLOURS = 8;

function initialsOf(name: string): string {
	const words = name.split('@')[0]!.match(/[\p{L}\p{N}]+/gu) ?? [];
	const letters = words.length > 1 ? [words[0]!, words[words.length - 1]!] : words;

	return letters.map((word) => [...word][0]!.toUpperCase()).join('') || '?';
}

export function Avatar({ id, name }: { id: string; name: string }) {
	const colour = Number.parseInt(id.slice(0, 4), 16) % COLOURS || 0;

	return <span class={`avatar avatar-${colour}`} aria-hidden="true">{initialsOf(name)}</span>;
}
