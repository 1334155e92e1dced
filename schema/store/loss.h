/*
 * Acknowledged data that is gone, accepted by an operator: a row that says what, and a new epoch,
 * by which gateways see that they must send again what they kept.
 */
#ifndef TL_STORE_LOSS_H
#define TL_STORE_LOSS_H

#include "schema/store/store.h"

struct tl_loss {
	int64_t accepted_ms;
	uint64_t epoch_before;
	uint64_t epoch;
	uint64_t have_group_no, have_seq;
	uint64_t acked_group_no, acked_seq; /* 0: not known, the mark file was gone */
	int64_t cost_nusd;		    /* of what is missing; 0 when it is not known */
};

void tl_loss_encode(const struct tl_loss *loss, struct tl_buf *buf);
TL_MUST enum tl_err tl_loss_decode(struct tl_slice bytes, struct tl_loss *loss_out);

/* Put the row and the new epoch, which the store has from then on, in one synced write. */
TL_MUST enum tl_err tl_loss_accept(
	struct tl_store *store, struct tl_loss *loss, struct tl_why *why);

/* True for the key of such a row in the family of marks. */
TL_MUST bool tl_loss_is_key(struct tl_slice key);

#endif
