#include "ingest/refusal.h"

#include "schema/model/limits.h"
#include "schema/wire/frame.h"

static int64_t
retry_ms_of(enum tl_err err)
{
	if (err == TL_EID_INDEX_FULL)
		return REFUSAL_INDEX_RETRY_MS;
	return err == TL_ECLOCK_UNTRUSTED ? REFUSAL_CLOCK_RETRY_MS : REFUSAL_RETRY_MS;
}

static int64_t
limit_of(enum tl_err err)
{
	switch (err) {
	case TL_EFRAME_TOO_LARGE:
		return TL_FRAME_BYTES_MAX;
	case TL_ETOO_MANY_EVENTS:
		return TL_BATCH_EVENTS_MAX;
	case TL_ETOO_DEEP:
		return TL_WIRE_DEPTH_MAX;
	case TL_EVERSION_UNSUPPORTED:
		return TL_PROTOCOL_VERSION;
	default:
		return INT64_MIN;
	}
}

void
refusal_put(struct tl_buf *reply, enum tl_err err, const struct tl_why *why)
{
	enum tl_err code = tl_err_outward(err);
	struct tl_error_detail detail = {.limit = limit_of(code)};

	/* What the program told itself about its own trouble stays inside. */
	if (code == err && why != NULL && why->text[0] != '\0')
		detail.message = why->text;
	if (tl_err_retry(code) == TL_RETRY_AFTER)
		detail.retry_after_ms = retry_ms_of(code);
	tl_buf_reset(reply);
	tl_frame_put_error(reply, code, &detail);
}
