#include "bench/measure.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static FILE *json;

void
measure_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("bench: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(1);
}

void
measure_add(struct measure *measure, double value)
{
	if (measure->count < MEASURE_ROUNDS_MAX)
		measure->values[measure->count++] = value;
}

static int
compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void
sorted_values(const struct measure *measure, double sorted[MEASURE_ROUNDS_MAX])
{
	memcpy(sorted, measure->values, measure->count * sizeof(*sorted));
	qsort(sorted, measure->count, sizeof(*sorted), compare_doubles);
}

double
measure_median(const struct measure *measure)
{
	double sorted[MEASURE_ROUNDS_MAX];
	uint32_t middle = measure->count / 2;

	if (measure->count == 0)
		return 0;
	sorted_values(measure, sorted);
	return measure->count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

void
measure_open(const char *json_path)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (json_path == NULL || json_path[0] == '\0')
		return;
	json = fopen(json_path, "a");
	if (json == NULL)
		measure_die("open %s: %m", json_path);
	setvbuf(json, NULL, _IOLBF, 0);
}

/* Three digits that mean something, without exponents. */
static const char *
number_text(double value, char text[24])
{
	int digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 3;

	snprintf(text, 24, "%.*f", digits, value);
	return text;
}

static bool
is_met(struct measure_goal goal, double value)
{
	return goal.type == MEASURE_AT_LEAST ? value >= goal.value : value <= goal.value;
}

static void
goal_text(struct measure_goal goal, char text[32])
{
	char number[24];

	text[0] = '\0';
	if (goal.type != MEASURE_NO_GOAL)
		snprintf(text, 32, "%s %s", goal.type == MEASURE_AT_LEAST ? ">=" : "<=",
			number_text(goal.value, number));
}

static void
print_json(const char *name, double value, const double *sorted, uint32_t count, const char *unit,
	struct measure_goal goal)
{
	char goal_words[32];

	if (json == NULL)
		return;
	goal_text(goal, goal_words);
	fprintf(json,
		"{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"low\": %.6g, "
		"\"high\": %.6g, \"rounds\": %" PRIu32 ", ",
		name, value, unit, sorted[0], sorted[count - 1], count);
	if (goal.type == MEASURE_NO_GOAL)
		fprintf(json, "\"goal\": null, \"met\": null}\n");
	else
		fprintf(json, "\"goal\": \"%s\", \"met\": %s}\n", goal_words,
			is_met(goal, value) ? "true" : "false");
}

void
measure_title(const char *title)
{
	printf("\n%-38s %9s %-14s %17s  %-9s %s\n", title, "median", "unit", "range of rounds",
		"goal", "met");
}

void
measure_print(
	const char *name, const struct measure *measure, const char *unit, struct measure_goal goal)
{
	double sorted[MEASURE_ROUNDS_MAX];
	double value = measure_median(measure);
	char number[24], low[24], high[24], range[52], goal_words[32];

	if (measure->count == 0)
		return;
	sorted_values(measure, sorted);
	goal_text(goal, goal_words);
	snprintf(range, sizeof(range), "%s..%s", number_text(sorted[0], low),
		number_text(sorted[measure->count - 1], high));
	printf("  %-36s %9s %-14s %17s  %-9s %s\n", name, number_text(value, number), unit, range,
		goal_words,
		goal.type == MEASURE_NO_GOAL ? ""
		: is_met(goal, value)	     ? "yes"
					     : "NO");
	print_json(name, value, sorted, measure->count, unit, goal);
}

void
measure_sample(struct measure_samples *samples, int64_t ns)
{
	if (samples->count == samples->capacity) {
		samples->capacity = samples->capacity * 2 + 1024;
		samples->ns = realloc(samples->ns, samples->capacity * sizeof(*samples->ns));
		if (samples->ns == NULL)
			measure_die("no memory for samples");
	}
	samples->ns[samples->count++] = ns;
}

void
measure_samples_fini(struct measure_samples *samples)
{
	free(samples->ns);
	*samples = (struct measure_samples){0};
}

static int
compare_ns(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

int64_t
measure_quantile_ns(struct measure_samples *samples, uint32_t ppm)
{
	size_t at = samples->count * ppm / 1000000;

	if (samples->count == 0)
		return 0;
	qsort(samples->ns, samples->count, sizeof(*samples->ns), compare_ns);
	return samples->ns[at < samples->count ? at : samples->count - 1];
}

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time) != 0)
		measure_die("read a clock: %m");
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int64_t
measure_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t
measure_cpu_ns(pid_t pid)
{
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0)
		measure_die("process %d has no clock", (int)pid);
	return clock_ns(clock);
}

int64_t
measure_rss_bytes(pid_t pid)
{
	char path[64], line[256];
	long long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	if (file == NULL)
		measure_die("open %s: %m", path);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "VmRSS: %lld kB", &kib) == 1)
			break;
	}
	fclose(file);
	return kib * 1024;
}
