import { defineConfig } from 'vite';

/* Small enough to be one file of script and one of style; names carry the hash of what is inside. */
export default defineConfig({
	build: {
		target: 'es2022',
		modulePreload: false,
		assetsInlineLimit: 0,
		reportCompressedSize: false,
	},
});
