#include "deploy/cmd/cells.h"

#include <stdio.h>

uint32_t
cells_open(struct tl_slice reply, const char *key, struct tl_reader *rows)
{
	return tl_reader_find(reply, key, rows) ? tl_read_array(rows) : 0;
}

bool
cells_next(struct tl_reader *rows, uint32_t *left, struct tl_slice *row_out)
{
	if (*left == 0)
		return false;
	(*left)--;
	*row_out = tl_read_any(rows);
	return true;
}

void
cell_text(struct table *table, struct tl_slice row, const char *key)
{
	table_cell(table, tl_reader_find_str(row, key));
}

void
cell_money(struct table *table, struct tl_slice row, const char *key)
{
	char text[TABLE_TEXT_BYTES];

	text_money(tl_reader_find_int(row, key, 0), text);
	table_cell_str(table, text);
}

void
cell_short(struct table *table, struct tl_slice row, const char *key)
{
	char text[TABLE_TEXT_BYTES];

	text_short(tl_reader_find_int(row, key, 0), text);
	table_cell_str(table, text);
}

void
cell_count(struct table *table, struct tl_slice row, const char *key)
{
	char text[TABLE_TEXT_BYTES];

	text_count(tl_reader_find_int(row, key, 0), text);
	table_cell_str(table, text);
}

void
cell_ago(struct table *table, struct tl_slice row, const char *key, struct tl_slice reply)
{
	char text[TABLE_TEXT_BYTES];

	text_ago(tl_reader_find_int(row, key, 0), tl_reader_find_int(reply, "as_of_ms", 0), text);
	table_cell_str(table, text);
}

void
cells_print(struct table *table)
{
	if (table != NULL)
		table_print(table);
	table_free(table);
}

void
cells_print_more(struct tl_slice reply, uint32_t shown)
{
	struct tl_reader at;

	if (tl_reader_find(reply, "next_cursor", &at) && tl_reader_peek(&at) == TL_WIRE_STR)
		printf("(the first %u; --limit shows more)\n", shown);
}
