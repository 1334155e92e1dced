/*
 * OTLP/HTTP (SPEC 6.2): POST /v1/logs, /v1/metrics and /v1/traces. An export becomes batches with
 * the asker's own key, and is answered in its own encoding when all of them are durable: how many
 * records were refused for good, or a status that OpenTelemetry's exporters send again after (429
 * and 503).
 */
#ifndef API_EXPORT_H
#define API_EXPORT_H

#include "ingest/otlp/otlp.h"
#include "schema/base/counter.h"
#include "schema/net/http_relay.h"

/* The route's path says which signal: /v1/logs and so on. */
void export_run(struct tl_http_request *request, const struct tl_http_route *route, void *arg);

/* Records by what became of them, since the start. Any thread. */
struct export_stats {
	struct tl_counter events;  /* became events; tallyd counts what became of those */
	struct tl_counter ignored; /* no usage */
	struct tl_counter refused; /* usage that could not be read, or was refused for good */
};

const struct export_stats *export_stats_of(enum otlp_signal signal);
const char *export_signal_name(enum otlp_signal signal);

#endif
