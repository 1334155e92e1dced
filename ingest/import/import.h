/*
 * Agents' local transcripts -> usage events. Pure: lines in, events out; no files, no clock.
 *
 * Claude Code writes one line per content block of a reply, each with the usage known by then: the
 * last line of a (message id, request id) wins. Codex writes the running total after each request,
 * mostly twice: a token_count whose total differs from the one before is one request.
 */
#ifndef IMPORT_IMPORT_H
#define IMPORT_IMPORT_H

#include "schema/base/bytes.h"
#include "schema/model/price.h"
#include "schema/wire/event_wire.h"

enum import_source {
	IMPORT_CLAUDE_CODE,
	IMPORT_CODEX,
};

struct import;

/*
 * email (may be empty) is put on every event. Transcripts give no cost: it comes from the prices,
 * by the day of the request; a model without a price is unpriced. Both must outlive the import.
 */
TL_MUST enum tl_err import_new(enum import_source source, struct tl_slice email,
	const struct tl_prices *prices, struct import **import_out);
void import_free(struct import *import);

/* A new file begins: what one file's lines say of each other is forgotten. */
void import_file(struct import *import);

/*
 * One line without its newline. Lines without usage are counted and passed over; so are lines with
 * usage that cannot be read (unreadable). Fails only for memory.
 */
TL_MUST enum tl_err import_line(struct import *import, struct tl_slice line);

struct import_stats {
	uint64_t lines, usage_lines, repeats, unreadable;
};

void import_stats(const struct import *import, struct import_stats *stats_out);

/* The events so far, in order of first appearance. Valid until the next line. Their ids follow
 * from the record, so importing again adds nothing; a request that grew since has a higher rev. */
const struct tl_wire_event *import_events(const struct import *import, uint32_t *count_out);

#endif
