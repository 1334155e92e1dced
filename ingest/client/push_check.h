/* What a caller gives, checked field by field as the server would, before anything is kept. */
#ifndef CLIENT_PUSH_CHECK_H
#define CLIENT_PUSH_CHECK_H

#include "ingest/client/tally.h"
#include "schema/base/err.h"
#include "schema/wire/event_wire.h"

/*
 * The event as the wire knows it. Its text still lies with the caller. On failure why names the
 * field and the limit.
 */
TL_MUST enum tl_err push_check_event(
	const struct tally_event *event, struct tl_wire_event *event_out, struct tl_why *why);

TL_MUST enum tl_err push_check_link(const char *id, int64_t ts_ms, const char *session,
	enum tally_link link, const char *value, struct tl_wire_event *event_out,
	struct tl_why *why);

/* Text that is not a field of an event: the token, ... NULL and "" are told as missing. */
TL_MUST enum tl_err push_check_text(
	const char *name, const char *text, size_t bytes_max, struct tl_why *why);

#endif
