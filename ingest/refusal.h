/* The reply to a message of which nothing was done. */
#ifndef INGEST_REFUSAL_H
#define INGEST_REFUSAL_H

#include "schema/base/bytes.h"

/* How long a sender waits before it tries again. */
#define REFUSAL_RETRY_MS 250
#define REFUSAL_INDEX_RETRY_MS 60000
#define REFUSAL_CLOCK_RETRY_MS 5000

/* Replace reply's content by the error. why may be NULL or empty: the code's own text is used. */
void refusal_put(struct tl_buf *reply, enum tl_err err, const struct tl_why *why);

#endif
