/*
 * Numbers out of runs. A figure is the median of its rounds, printed with the range they had: a
 * row of the table on stdout and a JSON object in the file of figures.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MEASURE_ROUNDS_MAX 64

/* One figure's value in each round. Zeroed: none yet. */
struct measure {
	double values[MEASURE_ROUNDS_MAX];
	uint32_t count;
};

enum measure_goal_type {
	MEASURE_NO_GOAL,
	MEASURE_AT_LEAST,
	MEASURE_AT_MOST,
};

struct measure_goal {
	enum measure_goal_type type;
	double value;
};

/* Latencies of one round. Zeroed: empty; grows as needed. */
struct measure_samples {
	int64_t *ns;
	size_t count;
	size_t capacity;
};

void measure_add(struct measure *measure, double value);
double measure_median(const struct measure *measure);

/* Append the figures that follow to a file; NULL: none. */
void measure_open(const char *json_path);

/* Print a figure. One without rounds is left out. */
void measure_print(const char *name, const struct measure *measure, const char *unit,
	struct measure_goal goal);

void measure_title(const char *title);

void measure_sample(struct measure_samples *samples, int64_t ns);
void measure_samples_fini(struct measure_samples *samples);

/* The sample below which ppm of a million lie; sorts. 0 when empty. */
int64_t measure_quantile_ns(struct measure_samples *samples, uint32_t ppm);

/* Monotonic, the same for all processes. */
int64_t measure_now_ns(void);

/* User and system time of all threads of a process, living and ended. */
int64_t measure_cpu_ns(pid_t pid);

int64_t measure_rss_bytes(pid_t pid);

/* A figure from a broken run is worse than none: say why and end, children included. */
void measure_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
