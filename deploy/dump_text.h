/* Figures and times as the dumps write them. */
#ifndef DEPLOY_DUMP_TEXT_H
#define DEPLOY_DUMP_TEXT_H

#include "schema/base/bytes.h"
#include "schema/model/totals.h"

/* " name=value" for each measure that is not zero. */
void dump_totals(const struct tl_totals *totals, struct tl_buf *text);

/* " label=2026-11-21T10:00:00.000Z", nothing for a time that is none. */
void dump_time(const char *label, int64_t time_ms, struct tl_buf *text);

#endif
