/* Light, dark, or as the system has it; remembered in this browser. */
import { computed, effect, signal } from '@preact/signals';

export type ThemeChoice = 'auto' | 'light' | 'dark';

const KEY = 'tally-theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const isSystemDark = signal(system.matches);

system.addEventListener('change', () => (isSystemDark.value = system.matches));

function remembered(): ThemeChoice {
	try {
		const said = localStorage.getItem(KEY);

		return said === 'light' || said === 'dark' ? said : 'auto';
	} catch {
		return 'auto'; /* storage may be forbidden */
	}
}

export const themeChoice = signal<ThemeChoice>(remembered());

export const theme = computed<'light' | 'dark'>(() =>
	themeChoice.value === 'auto' ? (isSystemDark.value ? 'dark' : 'light') : themeChoice.value);

effect(() => {
	document.documentElement.dataset.theme = theme.value;
});

export function chooseTheme(choice: ThemeChoice): void {
	themeChoice.value = choice;
	try {
		localStorage.setItem(KEY, choice);
	} catch {
		/* then for this page only */
	}
}
