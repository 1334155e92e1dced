/* What the two readers share. Each decodes one encoding; otlp.c chooses. */
#ifndef OTLP_OTLP_PRIVATE_H
#define OTLP_OTLP_PRIVATE_H

#include "ingest/otlp/otlp.h"

/* Digits, perhaps behind a minus. */
TL_MUST bool otlp_parse_int(struct tl_slice text, int64_t *int_out);

TL_MUST enum tl_err otlp_json_logs(struct tl_slice body, struct tl_arena *arena,
	struct otlp_records *records_out, struct tl_why *why);
TL_MUST enum tl_err otlp_json_metrics(struct tl_slice body, struct tl_arena *arena,
	struct otlp_records *records_out, struct tl_why *why);
TL_MUST enum tl_err otlp_pb_logs(struct tl_slice body, struct tl_arena *arena,
	struct otlp_records *records_out, struct tl_why *why);
TL_MUST enum tl_err otlp_pb_metrics(struct tl_slice body, struct tl_arena *arena,
	struct otlp_records *records_out, struct tl_why *why);

void otlp_pb_put_answer(struct tl_buf *body, int64_t rejected, const char *message);
void otlp_pb_put_status(struct tl_buf *body, int32_t code, const char *message);

#endif
