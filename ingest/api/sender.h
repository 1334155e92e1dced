/* Who sends, where nothing is sent on: asked of tallyd, as everything about rights is. */
#ifndef API_SENDER_H
#define API_SENDER_H

#include "schema/net/http_relay.h"

/* TL_OK for an agent's key and a gateway's token; else what tallyd says to anybody else. */
TL_MUST enum tl_err sender_check(struct tl_relay *relay, const struct tl_http_request *request,
	struct tl_relay_refusal *refusal_out);

#endif
