/*
 * Workload W as a table for other stores: a line for each event that is sent, in the order of
 * arrival, tab between the columns:
 *
 *   org id ts member agent session model input output cache_read cache_write cost saved repo pr
 * status
 *
 * Names are numbers, members and sessions counted through all orgs; repo and pr are 0 for none.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bench/measure.h"
#include "bench/options.h"
#include "bench/workload.h"

#define DAY_MS 86400000LL
#define WINDOW_DAYS 90

struct settings {
	char file[TL_CONF_STRING_BYTES];
	int64_t events, end_ms, seed;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"file", TL_CONF_STRING, AT(file), "/dev/stdout", 0, 0, "where to"},
	{"events", TL_CONF_INT, AT(events), "1000000", 1000, 100000000, "distinct events"},
	{"end_ms", TL_CONF_INT, AT(end_ms), "1795186800000", 1, INT64_MAX,
		"the end of the 90 days"},
	{"seed", TL_CONF_INT, AT(seed), "20261120", 1, INT64_MAX, "of the workload"},
};

static void
print_row(FILE *file, const struct workload_row *row)
{
	char hex[33];

	tl_hex(row->id, sizeof(row->id), hex);
	fprintf(file,
		"%u\t%.8s-%.4s-%.4s-%.4s-%s\t%" PRId64 "\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%" PRId64
		"\t%u\t%u\t%u\t%u\n",
		row->org, hex, hex + 8, hex + 12, hex + 16, hex + 20, row->ts_ms, row->member,
		row->agent, row->session, row->model, row->input, row->output, row->cache_read,
		row->cache_write, row->cost_nusd, row->saved,
		row->repo == UINT32_MAX ? 0 : row->repo + 1, row->pr, row->status);
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "export_bench",
		.summary = "Writes workload W as a table for other stores.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	struct workload_shape shape = {.org_count = WORKLOAD_ORGS};
	struct workload *workload;
	struct settings s;
	FILE *file;

	options_read(&conf, argc, argv, &s);
	shape.seed = (uint64_t)s.seed;
	shape.event_count = (uint32_t)s.events;
	shape.end_ms = s.end_ms;
	shape.first_ms = s.end_ms - WINDOW_DAYS * DAY_MS;
	workload = workload_new(&shape);
	file = fopen(s.file, "w");
	if (file == NULL)
		measure_die("open %s: %m", s.file);
	for (uint32_t i = 0; i < workload_sent_count(workload); i++) {
		struct workload_row row;

		workload_row(workload, i, &row);
		print_row(file, &row);
	}
	if (fclose(file) != 0)
		measure_die("write %s: %m", s.file);
	workload_free(workload);
	return 0;
}
