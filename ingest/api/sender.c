#include "ingest/api/sender.h"

#include "schema/wire/event_wire.h"

/* A batch without events is refused for that alone once its credential was seen to be right. */
enum tl_err
sender_check(struct tl_relay *relay, const struct tl_http_request *request,
	struct tl_relay_refusal *refusal_out)
{
	struct tl_buf question, reply;
	enum tl_err err;

	tl_buf_init(&question, 0);
	tl_buf_init(&reply, 0);
	tl_batch_put_maps(
		&question, tl_http_request_bearer(request), tl_slice_of(NULL, 0), false, NULL, 0);
	err = tl_relay_call(relay, request, TL_RELAY_INGEST, &question, &reply, refusal_out);
	tl_buf_fini(&reply);
	tl_buf_fini(&question);
	return err == TL_EBATCH_EMPTY ? TL_OK : err;
}
