/*
 * Sign-ins: a browser's session, begun with a personal token or a one-time link, and the links not
 * used yet. The secret is 128 random bits, shown once; its SHA-256 is stored. A sign-in lasts 7
 * days at most and ends after 8 hours without use, with its token, and when its member is removed.
 */
#ifndef TL_REGISTRY_SIGNIN_H
#define TL_REGISTRY_SIGNIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/registry/apikey.h"

#define TL_SIGNIN_SECRET_BYTES 33 /* 32 hex digits and NUL */

#define TL_SIGNIN_IDLE_MS (8 * 3600 * 1000LL)
#define TL_SIGNIN_LIFE_MS (7 * 24 * 3600 * 1000LL)
#define TL_LINK_LIFE_MS (10 * 60 * 1000LL)

/* Of one member, or of one token or org's links without a member: the one unused longest goes. */
#define TL_SIGNINS_PER_OWNER_MAX 32

/* How old a stored time of use may be: what a crash takes from the 8 hours. */
#define TL_SIGNIN_STORE_MS (10 * 60 * 1000LL)

struct tl_signin {
	uint32_t org_no;
	uint32_t no;	  /* in the org, from 1; a place is taken again when its sign-in ended */
	uint8_t hash[32]; /* of the secret; all zero: ended */
	bool is_link;	  /* not used yet: begins a sign-in, once, and does nothing else */
	bool is_admin;	  /* of one without a member */
	uint32_t member_no;
	char key_id[TL_KEY_ID_BYTES]; /* of the token that began it; "" : a link did */
	int64_t created_ms;
	int64_t ends_ms;
	_Atomic int64_t used_ms; /* any thread; the one field that moves after publication */
	int64_t stored_ms;	 /* writer thread only: used_ms as the row has it */
};

/* A new secret into hash, and the text to show once. */
void tl_signin_make(struct tl_signin *signin, char secret_out[TL_SIGNIN_SECRET_BYTES]);

/* "tally_sid_ab12cd34": names a sign-in in lists; follows from the hash and tells nothing of it. */
void tl_signin_id(const struct tl_signin *signin, char id_out[TL_KEY_ID_BYTES]);

/* Neither ended nor run out. Its token and its member are for the resolver to look at. */
bool tl_signin_is_live(const struct tl_signin *signin, int64_t now_ms);

#endif
