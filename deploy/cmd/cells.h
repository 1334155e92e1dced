/* The rows of a reply as the cells of a table. */
#ifndef CMD_CELLS_H
#define CMD_CELLS_H

#include "deploy/cmd/table.h"
#include "schema/wire/reader.h"

/* How many rows the array reply[key] has, 0 without one; and each of them, false at the end. */
uint32_t cells_open(struct tl_slice reply, const char *key, struct tl_reader *rows_out);
bool cells_next(struct tl_reader *rows, uint32_t *left, struct tl_slice *row_out);

/* The next cell: row[key]. */
void cell_text(struct table *table, struct tl_slice row, const char *key);
void cell_money(struct table *table, struct tl_slice row, const char *key);
void cell_short(struct table *table, struct tl_slice row, const char *key);
void cell_count(struct table *table, struct tl_slice row, const char *key);
void cell_ago(struct table *table, struct tl_slice row, const char *key, struct tl_slice reply);

/* Prints the table, which may be NULL, and frees it. */
void cells_print(struct table *table);

/* Says that the list goes on, when it does. */
void cells_print_more(struct tl_slice reply, uint32_t shown);

#endif
