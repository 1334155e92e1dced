// Telemetry in the shape of Claude Code's and Codex's, by OpenTelemetry's own SDK and exporters.
// telemetry.mjs JSON: {url, key, encoding: "json"|"proto", gzip, cumulative, service, logs: [...],
// counters: [[name, value, attributes], ...], flushes}; prints what the SDK complained about.
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { OTLPLogExporter as JsonLogs } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtoLogs } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as JsonMetrics } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtoMetrics } from "@opentelemetry/exporter-metrics-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { AggregationTemporality, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";

const ask = JSON.parse(process.argv[2]);
const complaints = [];
const note = (...words) => complaints.push(words.map(String).join(" "));
diag.setLogger({ error: note, warn: note, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);

const resource = resourceFromAttributes({ "service.name": ask.service ?? "claude-code", "service.version": "2.1.158" });
const to = (path) => ({
	url: `${ask.url}/v1/${path}`,
	headers: { Authorization: `Bearer ${ask.key}` },
	compression: ask.gzip ? "gzip" : "none",
});
const isProto = ask.encoding === "proto";

async function sendLogs() {
	const exporter = new (isProto ? ProtoLogs : JsonLogs)(to("logs"));
	const provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor(exporter, { maxExportBatchSize: 40 })] });
	const logger = provider.getLogger("com.anthropic.claude_code.events", "2.1.158");
	for (const { ts_ms, body, attributes } of ask.logs)
		logger.emit({ timestamp: new Date(ts_ms), observedTimestamp: new Date(ts_ms + 5), body, attributes });
	for (let i = 0; i < ask.flushes; i++) await provider.forceFlush();
	await provider.shutdown();
}

async function sendMetrics() {
	const temporalityPreference = ask.cumulative ? AggregationTemporality.CUMULATIVE : AggregationTemporality.DELTA;
	const exporter = new (isProto ? ProtoMetrics : JsonMetrics)({ ...to("metrics"), temporalityPreference });
	const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 600000 });
	const provider = new MeterProvider({ resource, readers: [reader] });
	const meter = provider.getMeter("com.anthropic.claude_code");
	const counters = new Map();
	// Half of it, a flush, the other half: what is reported twice shows.
	for (const part of [0, 1]) {
		ask.counters.forEach(([name, value, attributes], i) => {
			if (!counters.has(name)) counters.set(name, meter.createCounter(name));
			if (i % 2 === part || part === 1) counters.get(name).add(value, attributes);
		});
		for (let i = 0; i < ask.flushes; i++) await provider.forceFlush();
	}
	await provider.shutdown();
}

if (ask.logs) await sendLogs();
if (ask.counters) await sendMetrics();
console.log(JSON.stringify({ complaints }));
