/*
 * A batch under an agent's key: every row is of that key's member and agent, whatever else it says.
 * A developer holds this key, so nothing under it may touch what a gateway reported.
 */
#ifndef INGEST_OWN_H
#define INGEST_OWN_H

#include "schema/model/event.h"
#include "schema/registry/registry.h"

/* Whether the caller is an agent's key. */
bool own_is(const struct tl_caller *caller);

/*
 * Rows that name somebody (email, member, agent, another key) are rejected with `forbidden`. All
 * others get the caller's key, the tag TL_TAG_CLIENT in place of theirs, and an id in a space of
 * the member's own: first 16 bytes of SHA-256 of "tally-own", a zero byte, the member's number
 * (be32) and the id. So no id a gateway uses is ever taken, replaced or revised. A pull request on
 * usage would be a link to a session that may be somebody else's: it is dropped like a wrong tag.
 */
TL_MUST enum tl_err own_rows(const struct tl_caller *caller, struct tl_batch *batch);

#endif
