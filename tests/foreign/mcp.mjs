// The protocol's own SDK: mcp.mjs JSON: {url, key, calls: [[tool, arguments], ...]}; prints what it saw.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const ask = JSON.parse(process.argv[2]);
const client = new Client({ name: "tally-test", version: "1.0.0" });
const transport = new StreamableHTTPClientTransport(new URL(`${ask.url}/mcp`), {
	requestInit: { headers: { Authorization: `Bearer ${ask.key}` } },
});
const seen = { results: [] };
try {
	await client.connect(transport);
	seen.server = client.getServerVersion();
	seen.version = transport.protocolVersion;
	seen.instructions = client.getInstructions();
	await client.ping();
	seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
	for (const [name, args] of ask.calls) {
		const result = await client.callTool({ name, arguments: args });
		seen.results.push([result.isError, result.content[0].text]);
	}
	await client.close();
} catch (error) {
	seen.error = String(error);
}
console.log(JSON.stringify(seen));
