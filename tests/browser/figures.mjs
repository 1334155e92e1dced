/* The dashboard's figures as functions: figures.mjs WEB, the folder that query/web was built in. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const root = process.argv[2];
const vite = createRequire(`${root}/`).resolve('vite');
const { createServer } = await import(pathToFileURL(vite));
const server = await createServer({
	root, configFile: false, logLevel: 'error', appType: 'custom',
	server: { middlewareMode: true, hmr: false, ws: false, watch: null },
});
/* The page's clock would never end. */
globalThis.setInterval = () => 0;
const load = (name) => server.ssrLoadModule(`/src/${name}.ts`);
const { nanoOf, exactUsd, centsUsd, axisUsd } = await load('figures/money');
const { grouped, compact, percent } = await load('figures/count');
const { stepsOver, sharesOf, FULL } = await load('figures/scale');
const { ago, binOf, lasting, ofPicker, pickerOf } = await load('figures/time');
const { parseExact } = await load('api/exact');

/* of(input) is output, for each pair. */
function table(name, of, pairs) {
	test(name, () => pairs.forEach(([input, output]) => assert.equal(of(input), output, String(input))));
}

table('dollars are nano-dollars, to the last digit', nanoOf, [
	['0.00', 0n], ['0.000000001', 1n], ['9007199.254740993', 9007199254740993n],
	['-1.5', -1500000000n], ['9223372036.854775807', 9223372036854775807n],
]);
table('exact dollars have the digits that came', exactUsd, [
	['0.00', '$0.00'], ['1234567.1', '$1,234,567.1'], ['9007199.254740993', '$9,007,199.254740993'],
	['-12.50', '−$12.50'],
]);
table('cents are rounded half up, and what is there is not nothing', centsUsd, [
	['0.00', '$0.00'], ['0.004999999', '<$0.01'], ['0.005', '$0.01'], ['0.995', '$1.00'],
	['1234.565', '$1,234.57'], ['1234.564999999', '$1,234.56'], ['-0.5', '−$0.50'],
]);
table('an axis has round dollars', axisUsd, [
	[0n, '$0'], [500000000n, '$0.50'], [2n, '$0.000000002'], [25n * 10n ** 9n, '$25'],
	[1500n * 10n ** 9n, '$1.5K'], [2n * 10n ** 15n, '$2M'],
]);
table('counts in groups', grouped, [[0, '0'], [999, '999'], [1000, '1,000'], [12345678901234567890n, '12,345,678,901,234,567,890']]);
table('counts in short', compact, [
	[0, '0'], [9999, '9,999'], [10000, '10.0K'], [99949, '99.9K'], [99950, '100K'], [123550, '124K'],
	[950000, '950K'], [999499, '999K'], [999500, '1.0M'], [1234567, '1.2M'], [10n ** 12n, '1.0T'],
	[10n ** 16n, '10,000T'],
]);
table('parts per million', percent, [[0, '0.0 %'], [1, '<0.1 %'], [1000, '0.1 %'], [486871, '48.6 %'], [1000000, '100.0 %']]);
table('steps of an axis are round and reach over the top', (top) => stepsOver(top).join(' '), [
	[0n, '0'], [1n, '0 1'], [3n, '0 1 2 3'], [9n, '0 5 10'], [10n, '0 5 10'], [88n, '0 25 50 75 100'],
	[300n, '0 100 200 300'],
]);
test('shares are exact where numbers are not', () => {
	const top = 2n ** 62n;

	assert.deepEqual(sharesOf([0n, top / 2n, top], top), [0, FULL / 2, FULL]);
	assert.deepEqual(sharesOf([0n, 0n], 0n), [0, 0]);
});
table('ages', (ms) => ago(0, ms), [[0, 'just now'], [59999, 'just now'], [60000, '1 min ago'], [7200000, '2 h ago'], [3 * 86400000, '3 d ago']]);
table('durations', lasting, [[0, '0 ms'], [999, '999 ms'], [1500, '1.5 s'], [61000, '1 min 1 s'], [3700000, '1 h 1 min'], [90000000, '1 d 1 h']]);
test('pickers speak the time of the zone, over changes of the clock', () => {
	const berlin = 'Europe/Berlin';

	for (const text of ['2026-03-29T01:59', '2026-03-29T03:00', '2026-07-01T00:00', '2026-10-25T01:30', '2026-10-25T03:00'])
		assert.equal(pickerOf(ofPicker(text, berlin), berlin), text);
	assert.equal(ofPicker('2026-01-01T00:00', berlin), Date.parse('2025-12-31T23:00Z'));
	assert.equal(ofPicker('2026-01-01T00:00', 'Asia/Kathmandu'), Date.parse('2025-12-31T18:15Z'));
	/* 02:30 does not exist on this day. */
	assert.equal(pickerOf(ofPicker('2026-03-29T02:30', berlin), berlin), '2026-03-29T03:30');
	assert.ok(Number.isNaN(ofPicker('', berlin)));
});
test('bins in words', () => {
	const at = (text) => Date.parse(text);

	assert.equal(binOf(at('2026-11-17T23:00Z'), at('2026-11-18T23:00Z'), 'Europe/Berlin'), 'Wed 18 Nov');
	assert.equal(binOf(at('2026-11-18T05:00Z'), at('2026-11-18T11:00Z'), 'Europe/Berlin'), 'Wed 18 Nov, 06:00–12:00');
	assert.equal(binOf(at('2026-10-24T22:00Z'), at('2026-10-25T23:00Z'), 'Europe/Berlin'), 'Sun 25 Oct');
});
test('whole numbers past 2^53 stay whole', () => {
	assert.deepEqual(parseExact('{"tokens": 9007199254740993, "name": "a:9007199254740993,", "n": 1234567890123456}'),
		{ tokens: 9007199254740993n, name: 'a:9007199254740993,', n: 1234567890123456 });
	assert.deepEqual(parseExact('[1, 1.5, "9007199254740993"]'), [1, 1.5, '9007199254740993']);
});
await server.close();
