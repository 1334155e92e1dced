/* /metrics in Prometheus' text format, on a loopback port of its own: no org, no member in it. */
#ifndef DEPLOY_METRICS_H
#define DEPLOY_METRICS_H

#include "schema/net/http_relay.h"

struct metrics;

/* Serves address; stats_url is tallyd's stats socket, api and relay whose figures are told beside
 * tallyd's. */
TL_MUST enum tl_err metrics_start(const char *address, const char *stats_url,
	const struct tl_http_server *api, const struct tl_relay_stats *relay,
	struct metrics **metrics_out, struct tl_why *why);

uint16_t metrics_port(const struct metrics *metrics);

/* Before api stops. NULL is fine. */
void metrics_stop(struct metrics *metrics);

#endif
