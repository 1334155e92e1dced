/*
 * OTLP bodies -> records, from JSON and from protobuf (protobuf-c stops here), and answers back.
 * Pure. A record's texts are in the arena; what is not read (spans, histograms, lists) leaves no
 * trace.
 */
#ifndef OTLP_OTLP_H
#define OTLP_OTLP_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/arena.h"
#include "schema/base/bytes.h"

enum otlp_encoding {
	OTLP_JSON,
	OTLP_PROTOBUF,
};

enum otlp_signal {
	OTLP_LOGS,
	OTLP_METRICS,
	OTLP_TRACES, /* taken and not looked at */
};

enum otlp_type {
	OTLP_NONE, /* absent, or a list, map or bytes */
	OTLP_TEXT,
	OTLP_FLAG,
	OTLP_NUMBER,
	OTLP_REAL,
};

struct otlp_value {
	enum otlp_type type;
	bool flag;
	struct tl_slice text;
	int64_t number;
	double real;
};

struct otlp_attribute {
	struct tl_slice key;
	struct otlp_value value;
};

struct otlp_attributes {
	struct otlp_attribute *list;
	uint32_t count;
};

struct otlp_log {
	const struct otlp_attributes *resource;
	struct otlp_attributes attributes;
	uint64_t time_ns, observed_ns; /* 0: not stated */
	struct tl_slice event_name, body;
};

enum otlp_temporality {
	OTLP_UNSPECIFIED,
	OTLP_DELTA,
	OTLP_CUMULATIVE,
};

/* A point of a sum; points of other kinds are only counted. */
struct otlp_point {
	const struct otlp_attributes *resource;
	struct tl_slice metric;
	enum otlp_temporality temporality;
	bool is_monotonic;
	struct otlp_attributes attributes;
	uint64_t start_ns, time_ns;
	struct otlp_value value; /* number or real */
};

/* Read one of both lists; the other stays empty. */
struct otlp_records {
	struct otlp_log *logs;
	uint32_t log_count;
	struct otlp_point *points;
	uint32_t point_count;
};

/* TL_EFRAME_MALFORMED, TL_ETOO_DEEP, TL_EFRAME_TOO_LARGE (past the arena's ceiling). */
TL_MUST enum tl_err otlp_read(enum otlp_signal signal, enum otlp_encoding encoding,
	struct tl_slice body, struct tl_arena *arena, struct otlp_records *records_out,
	struct tl_why *why);

/* The value of an attribute; of type OTLP_NONE when there is no such one. */
const struct otlp_value *otlp_find(const struct otlp_attributes *attributes, const char *key);

/* A whole number, however it was sent: as a number, as digits, as a real without a fraction. */
TL_MUST bool otlp_int(const struct otlp_value *value, int64_t *int_out);

/*
 * Times 10^places, rounded half to even: of a real what it would be printed as counts, with the
 * fewest digits that read back the same. False for what is no number or leaves int64.
 */
TL_MUST bool otlp_scaled(const struct otlp_value *value, int places, int64_t *scaled_out);

/* Append what answers an export: how many records were refused, and why (NULL: nothing to say). */
void otlp_put_answer(struct tl_buf *body, enum otlp_signal signal, enum otlp_encoding encoding,
	int64_t rejected, const char *message);

/* Append an error's body: google.rpc.Status. */
void otlp_put_status(
	struct tl_buf *body, enum otlp_encoding encoding, int32_t code, const char *message);

#endif
