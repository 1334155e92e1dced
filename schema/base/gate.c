#include "schema/base/gate.h"

#include <assert.h>

struct reason {
	const char *name;
	enum tl_err err;
};

static const struct reason reasons[TL_GATE_REASON_COUNT] = {
#define X(symbol, text, code) [symbol] = {text, code},
	TL_GATE_LIST(X)
#undef X
};

void
tl_gate_close(struct tl_gate *gate, enum tl_gate_reason reason)
{
	assert(reason < TL_GATE_REASON_COUNT);
	atomic_fetch_or(&gate->closed, UINT32_C(1) << reason);
}

void
tl_gate_open(struct tl_gate *gate, enum tl_gate_reason reason)
{
	assert(reason < TL_GATE_REASON_COUNT);
	atomic_fetch_and(&gate->closed, ~(UINT32_C(1) << reason));
}

bool
tl_gate_is_closed_for(const struct tl_gate *gate, enum tl_gate_reason reason)
{
	assert(reason < TL_GATE_REASON_COUNT);
	return gate != NULL && (atomic_load(&gate->closed) & UINT32_C(1) << reason) != 0;
}

/* NULL when the gate is open. */
static const struct reason *
first_closed(const struct tl_gate *gate)
{
	uint32_t closed = gate != NULL ? atomic_load(&gate->closed) : 0;

	return closed != 0 ? &reasons[__builtin_ctz(closed)] : NULL;
}

enum tl_err
tl_gate_err(const struct tl_gate *gate)
{
	const struct reason *reason = first_closed(gate);

	return reason != NULL ? reason->err : TL_OK;
}

const char *
tl_gate_state(const struct tl_gate *gate)
{
	const struct reason *reason = first_closed(gate);

	return reason != NULL ? reason->name : "ok";
}
