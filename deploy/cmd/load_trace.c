#include "deploy/cmd/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/model/bucket.h"

#define ROWS_MAX 50000000u
#define LINE_BYTES 256

/* The file itself, or what gzip makes of it; *child_out is 0 without one. */
static FILE *
open_trace(const char *path, pid_t *child_out)
{
	size_t bytes = strlen(path);
	int ends[2];

	*child_out = 0;
	if (bytes < 3 || strcmp(path + bytes - 3, ".gz") != 0)
		return fopen(path, "r");
	if (access(path, R_OK) != 0 || pipe(ends) != 0)
		return NULL;
	*child_out = fork();
	if (*child_out == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("gzip", "gzip", "-dc", "--", path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	return fdopen(ends[0], "r");
}

/* "2023-11-16 18:17:03.9799600,4808,10": a time without a zone is UTC. */
static bool
parse_row(const char *line, int64_t *time_ms_out, struct load_trace_row *row)
{
	char day[11], clock[32], text[64];

	if (sscanf(line, "%10s %31[0-9:.],%" SCNd64 ",%" SCNd64, day, clock, &row->input_tokens,
		    &row->output_tokens) != 4)
		return false;
	snprintf(text, sizeof(text), "%sT%sZ", day, clock);
	return tl_time_parse(text, time_ms_out);
}

struct load_trace_row *
load_trace_read(const char *path, size_t *row_count_out, const char **reason_out)
{
	struct load_trace_row *rows = NULL;
	size_t count = 0, capacity = 0;
	int64_t first_ms = 0, time_ms;
	char line[LINE_BYTES];
	pid_t child;
	FILE *file = open_trace(path, &child);

	*reason_out = "the trace cannot be read";
	if (file == NULL)
		return NULL;
	while (fgets(line, sizeof(line), file) != NULL && count < ROWS_MAX) {
		struct load_trace_row row;

		if (!parse_row(line, &time_ms, &row))
			continue; /* the header */
		if (count == capacity) {
			struct load_trace_row *more;

			capacity = capacity * 2 + 1024;
			more = realloc(rows, capacity * sizeof(*rows));
			if (more == NULL)
				break;
			rows = more;
		}
		if (count == 0)
			first_ms = time_ms;
		row.offset_ms = time_ms - first_ms;
		rows[count++] = row;
	}
	fclose(file);
	if (child > 0)
		waitpid(child, NULL, 0);
	if (count == 0) {
		*reason_out = "the trace has no row TIMESTAMP,ContextTokens,GeneratedTokens";
		free(rows);
		return NULL;
	}
	*row_count_out = count;
	return rows;
}
