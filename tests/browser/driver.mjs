/*
 * Chromium for the Python tests: a request a line on stdin, a reply a line on stdout, both JSON. A
 * page is numbered; what its console says and what breaks in it is kept until asked for.
 */
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-quic', '--disable-background-networking',
	'--disable-component-update', '--disable-sync'];
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({ executablePath: process.argv[2], args: FLAGS });
const pages = new Map();

function watch(page, troubles) {
	page.on('console', (said) =>
		said.type() === 'error' && !said.text().startsWith('Failed to load resource') && troubles.push(said.text()));
	page.on('pageerror', (error) => troubles.push(String(error)));
}

async function open({ width = 1360, height = 900, theme = 'light', motion = 'no-preference', bypassCSP = false }) {
	const context = await browser.newContext({
		viewport: { width, height }, colorScheme: theme, reducedMotion: motion, bypassCSP,
		hasTouch: width < 500, timezoneId: 'Pacific/Auckland', locale: 'en-GB',
	});
	const page = await context.newPage();
	const id = pages.size + 1;
	const entry = { context, page, troubles: [], requests: [], held: [] };

	context.setDefaultTimeout(30000);
	watch(page, entry.troubles);
	page.on('request', (request) => entry.requests.push(request.url()));
	pages.set(id, entry);
	return id;
}

const does = {
	open,
	close: async ({ context }) => context.close(),
	goto: async ({ page }, { url }) => (await page.goto(url)).status(),
	reload: async ({ page }) => (await page.reload()).status(),
	back: async ({ page }) => void await page.goBack(),
	click: async ({ page }, { on }) => page.locator(on).first().click(),
	fill: async ({ page }, { on, text }) => page.locator(on).first().fill(text),
	select: async ({ page }, { on, value }) => void await page.locator(on).first().selectOption(value),
	press: async ({ page }, { key }) => page.keyboard.press(key),
	focus: async ({ page }, { on }) => page.locator(on).first().focus(),
	/* The pointer goes where a person would put it, whatever lies over the element. */
	point: async ({ page }, { on }) => {
		await page.locator(on).first().scrollIntoViewIfNeeded();
		const box = await page.locator(on).first().boundingBox();

		await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 3 });
	},
	/* Not waitForFunction: it evaluates in the page, where the policy forbids it. */
	wait: async ({ page }, { until, timeout = 30000 }) => {
		for (const end = performance.now() + timeout; ;) {
			const value = await page.evaluate(until).catch(() => null); /* between two pages */

			if (value)
				return value;
			if (performance.now() > end)
				throw new Error(`waited ${timeout} ms in ${page.url()} for ${until}`);
			await new Promise((done) => setTimeout(done, 5));
		}
	},
	run: async ({ page }, { script }) => page.evaluate(script),
	size: async ({ page }, { width, height }) => page.setViewportSize({ width, height }),
	shot: async ({ page }, { path, full = false }) => void await page.screenshot({ path, fullPage: full }),
	answer: async ({ page }, { url, status, body }) =>
		page.route(url, (route) => route.fulfill({ status, contentType: 'application/json', body })),
	/* What the browser kept of files, as on a first visit. */
	forget: async ({ context, page }) => void await (await context.newCDPSession(page)).send('Network.clearBrowserCache'),
	/* Milliseconds the page's thread has worked, without waiting. */
	worked: async (entry) => {
		if (entry.clock === undefined) {
			entry.clock = await entry.context.newCDPSession(entry.page);
			await entry.clock.send('Performance.enable', { timeDomain: 'threadTicks' });
		}
		const { metrics } = await entry.clock.send('Performance.getMetrics');

		return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
	},
	/* Requests wait until they are released. */
	hold: async (entry, { url }) => {
		await entry.page.route(url, (route) => void entry.held.push(route));
		entry.hold = url;
	},
	/* Those of a page that was left meanwhile are gone. */
	release: async (entry) => {
		await Promise.allSettled(entry.held.splice(0).map((route) => route.continue()));
		await entry.page.unroute(entry.hold);
	},
	let: async ({ page }, { url }) => page.unroute(url),
	axe: async ({ page }) => {
		await page.evaluate(axeSource);
		const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));

		return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`).join(' | ')}`);
	},
	troubles: async (entry) => entry.troubles.splice(0),
	requests: async (entry) => entry.requests.splice(0),
};

process.stdout.write(`${JSON.stringify({ ok: browser.version() })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
	const { does: what, page, ...rest } = JSON.parse(line);
	let reply;

	try {
		reply = { ok: (what === 'open' ? await open(rest) : await does[what](pages.get(page), rest)) ?? null };
	} catch (error) {
		reply = { error: String(error).slice(0, 2000) };
	}
	process.stdout.write(`${JSON.stringify(reply)}\n`);
}
await browser.close();
