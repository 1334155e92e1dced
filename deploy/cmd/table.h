/* Aligned tables, sparklines and short numbers for a terminal. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

#define TABLE_COLUMNS_MAX 12

enum table_align {
	TABLE_LEFT,
	TABLE_RIGHT,
};

struct table_column {
	const char *title;
	enum table_align align;
	uint32_t width_max; /* in terminal cells; longer text ends in an ellipsis. 0: no limit */
};

struct table;

/* columns must outlive the table. NULL when out of memory. */
struct table *table_new(const struct table_column *columns, size_t column_count);
void table_free(struct table *table);

/* The next cell, left to right, row after row. Control bytes are shown as '?'. */
void table_cell(struct table *table, struct tl_slice text);
void table_cell_str(struct table *table, const char *text);

/* To stdout: bold titles when it is a terminal. Trailing spaces are not printed. */
void table_print(const struct table *table);

#define TABLE_TEXT_BYTES 160

/* "$1,234.57" (to the cent, half up), "12.3M", "1,234", "2 h ago" / "never". */
void text_money(int64_t nusd, char text_out[TABLE_TEXT_BYTES]);
void text_short(int64_t value, char text_out[TABLE_TEXT_BYTES]);
void text_count(int64_t value, char text_out[TABLE_TEXT_BYTES]);
void text_ago(int64_t then_ms, int64_t now_ms, char text_out[TABLE_TEXT_BYTES]);

/* Eight-step bars, at most width_max wide (neighbouring bins are summed to fit); value_count > 0.
 */
void text_spark(const int64_t *values, uint32_t value_count, uint32_t width_max,
	char text_out[TABLE_TEXT_BYTES]);

/* A line that is redrawn on a terminal's stderr: "verify  [#####.....] 52 %  1,024 blocks". */
void progress_show(const char *what, uint64_t done, uint64_t total, const char *unit);
void progress_end(void);

#endif
