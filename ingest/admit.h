/*
 * Admission: credential, decode, validate -> a batch and the reasons for what was refused. Pure:
 * bytes, a registry snapshot and a time in; nothing is stored.
 */
#ifndef INGEST_ADMIT_H
#define INGEST_ADMIT_H

#include "schema/base/map.h"
#include "schema/registry/registry.h"
#include "schema/wire/event_wire.h"

struct admit_rules {
	int64_t now_ms;
	int64_t accept_past_days;
	int64_t retention_days;
	bool is_operator; /* the batch came by the control socket */
	/*
	 * (org, email) -> member number, one map a worker, or NULL. An email's member never
	 * changes, and looking it up here costs a thirtieth of its HMAC.
	 */
	struct tl_map *members;
};

/* One admitted batch. All memory but the frame's is the arena's. */
struct admitted {
	struct tl_batch_head head;
	struct tl_caller caller;
	struct tl_batch batch; /* ORG set; MEMBER and AGENT set where already known */
};

/*
 * A batch under an agent's key is that key's own (ingest/own); whose session a link names is for
 * the writer to ask (ingest/owner).
 *
 * map of a batch, not looked at so far -> admitted. A batch-level error leaves nothing. Rows whose
 * key is unknown, revoked before ts, or of another org are moved to the rejects. Where the registry
 * already knows who is meant, MEMBER and AGENT are filled and MEMBER_ID, EMAIL, AGENT_TYPE
 * cleared; the rest is the writer's.
 */
TL_MUST enum tl_err admit_batch(struct tl_slice map, const struct tl_registry *registry,
	const struct admit_rules *rules, struct tl_arena *arena, struct admitted *admitted_out,
	struct tl_why *why);

#endif
