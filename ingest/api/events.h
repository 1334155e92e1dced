/* POST /api/v1/events: a body in one of three forms becomes one batch. */
#ifndef INGEST_API_EVENTS_H
#define INGEST_API_EVENTS_H

#include "schema/base/bytes.h"

enum events_form {
	EVENTS_JSON,	/* an array of events */
	EVENTS_NDJSON,	/* an event a line */
	EVENTS_MSGPACK, /* a batch as over nng */
};

/* The form a content type names; false: none of them. */
bool events_form_of(struct tl_slice content_type, enum events_form *form_out);

/*
 * Append the frame to *frame. The token, when there is one, takes the place of one in the body.
 * TL_EFRAME_MALFORMED (with the line or place in why), TL_EFRAME_TOO_LARGE, TL_ETOO_DEEP.
 */
TL_MUST enum tl_err events_frame(enum events_form form, struct tl_slice body, struct tl_slice token,
	struct tl_buf *frame, struct tl_why *why);

#endif
