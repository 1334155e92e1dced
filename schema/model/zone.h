/*
 * The clock of an IANA zone. Its rules come from the system's tz database (TZif, RFC 8536), read
 * from its bytes, so that many zones can be used at once from many threads.
 */
#ifndef TL_MODEL_ZONE_H
#define TL_MODEL_ZONE_H

#include <stdint.h>

#include "schema/base/bytes.h"

#define TL_ZONE_NAME_BYTES 64

/* The rules of one zone: immutable once opened, shared by any number of threads. */
struct tl_zone;

/*
 * The zone called name ("Europe/Berlin", "UTC"), read once and kept for the life of the process
 * (the cache is locked inside). TL_EBAD_PARAM when the database has no such zone or the name is
 * not a plain relative path.
 */
TL_MUST enum tl_err tl_zone_get(
	struct tl_slice name, const struct tl_zone **zone_out, struct tl_why *why);

/* Parse TZif bytes; name is copied. Split out for tests and fuzzing. The caller frees. */
TL_MUST enum tl_err tl_zone_parse(
	struct tl_slice name, struct tl_slice tzif, struct tl_zone **zone_out, struct tl_why *why);
void tl_zone_free(struct tl_zone *zone);

const char *tl_zone_name(const struct tl_zone *zone);

/* Seconds east of UTC in force at time_ms, also past the last transition (POSIX TZ footer). */
int32_t tl_zone_offset_s(const struct tl_zone *zone, int64_t time_ms);

/* Local time is UTC + offset_s in [start_ms, end_ms). A neighbour may have the same offset. */
struct tl_stretch {
	int64_t start_ms;
	int64_t end_ms;
	int32_t offset_s;
};

/* The stretch that holds time_ms; for a time within TL_TIME_MS_MAX of 1970. */
struct tl_stretch tl_zone_stretch(const struct tl_zone *zone, int64_t time_ms);

/*
 * The first instant whose local wall clock reads local_ms (ms since 1970 as if the local time were
 * UTC) or, when that reading is skipped by a jump forward, the instant of the jump. A later reading
 * never has an earlier instant. For a time within TL_TIME_MS_MAX of 1970.
 */
int64_t tl_zone_from_local(const struct tl_zone *zone, int64_t local_ms);

#endif
