/*
 * Why intake is closed. Whoever watches something (the disk, the clock, the store) closes the gate
 * for its own reason and opens it again; the writer, health and stats ask. Any thread, no lock.
 */
#ifndef TL_BASE_GATE_H
#define TL_BASE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "schema/base/err.h"

/* X(symbol, name, what a batch is refused with). The first that is closed is what is told. */
#define TL_GATE_LIST(X)                                               \
	X(TL_GATE_STORAGE, "storage_failed", TL_ESTORAGE_UNAVAILABLE) \
	X(TL_GATE_READ_ONLY, "read_only", TL_EDISK_FULL)              \
	X(TL_GATE_DISK, "disk_full", TL_EDISK_FULL)                   \
	X(TL_GATE_CLOCK, "clock_untrusted", TL_ECLOCK_UNTRUSTED)

enum tl_gate_reason {
#define X(symbol, name, err) symbol,
	TL_GATE_LIST(X)
#undef X
		TL_GATE_REASON_COUNT
};

/* Zeroed: open. */
struct tl_gate {
	_Atomic uint32_t closed; /* a bit for each reason */
};

void tl_gate_close(struct tl_gate *gate, enum tl_gate_reason reason);
void tl_gate_open(struct tl_gate *gate, enum tl_gate_reason reason);

/* TL_OK while no reason is closed. NULL is a gate that is always open. */
TL_MUST enum tl_err tl_gate_err(const struct tl_gate *gate);
TL_MUST bool tl_gate_is_closed_for(const struct tl_gate *gate, enum tl_gate_reason reason);

/* "ok", or the name of the reason that tl_gate_err tells. Static. */
const char *tl_gate_state(const struct tl_gate *gate);

#endif
