import { defineConfig } from 'vite';

/* Small enough to be one file of script and one of style; names carry the hash of what is inside. */
export default defineConfig({
	plugins: [
		{
			/* The first thing painted is in the reader's theme, which the script knows. */
			name: 'script-before-paint',
			transformIndexHtml: (html) => html.replace('<script type="module"', '<script type="module" blocking="render"'),
		},
	],
	build: {
		target: 'es2022',
		modulePreload: false,
		assetsInlineLimit: 0,
		reportCompressedSize: false,
	},
});
