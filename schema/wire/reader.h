/*
 * Reading msgpack in place: one bounds pass that believes no length, then typed reads that cannot
 * leave the bytes. Nothing is allocated and nothing is copied.
 */
#ifndef TL_WIRE_READER_H
#define TL_WIRE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

enum tl_wire_type {
	TL_WIRE_NIL,
	TL_WIRE_BOOL,
	TL_WIRE_INT,
	TL_WIRE_FLOAT,
	TL_WIRE_STR,
	TL_WIRE_BIN,
	TL_WIRE_ARRAY,
	TL_WIRE_MAP,
	TL_WIRE_EXT,
};

/*
 * The bounds pass over one whole value: refuses a container that claims more elements than bytes
 * remain, nesting deeper than depth_max (a scalar is depth 0, a map of scalars 1), a length past
 * the end, the byte 0xc1, and trailing bytes. TL_EFRAME_MALFORMED or TL_ETOO_DEEP.
 */
TL_MUST enum tl_err tl_reader_check(struct tl_slice value, uint32_t depth_max, struct tl_why *why);

/*
 * The same over the value that begins at a place, whatever follows it: the place behind it, or
 * NULL. For who checks as it reads; why it failed is for tl_reader_check to say.
 */
const uint8_t *tl_reader_pass(const uint8_t *at, const uint8_t *end, uint32_t depth_max);

/*
 * A position in checked bytes. Reads of the wrong type set err to TL_EFIELD_TYPE (it sticks) and
 * give zero or empty. A read past the end sets TL_EFRAME_MALFORMED.
 */
struct tl_reader {
	const uint8_t *next;
	const uint8_t *end;
	enum tl_err err;
};

struct tl_reader tl_reader_of(struct tl_slice checked);

/* The type of the next value, without moving. TL_WIRE_NIL at the end with err set. */
enum tl_wire_type tl_reader_peek(struct tl_reader *reader);

uint32_t tl_read_map(struct tl_reader *reader);	  /* pairs that follow */
uint32_t tl_read_array(struct tl_reader *reader); /* elements that follow */
struct tl_slice tl_read_str(struct tl_reader *reader);
struct tl_slice tl_read_bin(struct tl_reader *reader);
bool tl_read_bool(struct tl_reader *reader);
void tl_read_nil(struct tl_reader *reader);

/* Any integer that fits int64; unsigned above that sets TL_EFIELD_TYPE. Floats are not integers. */
int64_t tl_read_int(struct tl_reader *reader);
double tl_read_float(struct tl_reader *reader);

/* Skip one value of any type; the slice holds its bytes. */
struct tl_slice tl_read_any(struct tl_reader *reader);

/*
 * Find key in the map that is the whole of checked and set *value_out to read its value. False
 * when there is no such key (or it is not a map).
 */
bool tl_reader_find(struct tl_slice checked, const char *key, struct tl_reader *value_out);

/* The same with a default: for replies and parameters whose absence is ordinary. */
int64_t tl_reader_find_int(struct tl_slice checked, const char *key, int64_t absent);
struct tl_slice tl_reader_find_str(struct tl_slice checked, const char *key);
bool tl_reader_find_bool(struct tl_slice checked, const char *key, bool absent);

#endif
