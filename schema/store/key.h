/*
 * Order-preserving keys: one maker and one parser per family. Integers are big-endian; times are
 * bucket numbers with the sign bit flipped. The org comes first in all that belongs to an org.
 */
#ifndef TL_STORE_KEY_H
#define TL_STORE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/bucket.h"
#include "schema/model/event.h"
#include "schema/model/ref.h"
#include "schema/store/store.h"

#define TL_KEY_BYTES_MAX 320

struct tl_key {
	uint8_t data[TL_KEY_BYTES_MAX];
	size_t bytes;
};

static inline struct tl_slice
tl_key_slice(const struct tl_key *key)
{
	return tl_slice_of(key->data, key->bytes);
}

/* The first key after this one. */
struct tl_key tl_key_after(struct tl_slice key);

/* journal: group_no u64 */
struct tl_key tl_key_journal(uint64_t group_no);
TL_MUST bool tl_key_journal_parse(struct tl_slice key, uint64_t *group_no_out);

/* raw.*: group_no u64, block_no u16 */
struct tl_key tl_key_block(uint64_t group_no, uint16_t block_no);
TL_MUST bool tl_key_block_parse(
	struct tl_slice key, uint64_t *group_no_out, uint16_t *block_no_out);

/*
 * raw.*, sealed: behind all blocks the runs, 0xfe, last group u64; behind those their chunks, 0xff,
 * last group u64, chunk u16. A block's key begins with a zero byte: groups are below 2^38.
 */
struct tl_key tl_key_run(uint64_t group_last);
TL_MUST bool tl_key_run_parse(struct tl_slice key, uint64_t *group_last_out);
struct tl_key tl_key_chunk(uint64_t group_last, uint16_t chunk_idx);
TL_MUST bool tl_key_chunk_parse(
	struct tl_slice key, uint64_t *group_last_out, uint16_t *chunk_idx_out);

/* Where a page stands: the hour or day, and which part of its sessions (tl_cell_part). */
struct tl_page_place {
	uint32_t org;
	enum tl_span span;
	int64_t bucket_ms;
	uint32_t part;
};

/* cell.*: org u32, bucket number u64, part u32 */
struct tl_key tl_key_page(const struct tl_page_place *place);
TL_MUST bool tl_key_page_parse(
	struct tl_slice key, enum tl_span span, struct tl_page_place *place_out);

/* Where the pages of an hour or a day begin: before each of them, after those before it. */
struct tl_key tl_key_cell(uint32_t org, enum tl_span span, int64_t bucket_ms);
enum tl_family tl_cell_family(enum tl_span span);

/* session: org u32, session u32 */
struct tl_key tl_key_session(uint32_t org, uint32_t session);
TL_MUST bool tl_key_session_parse(struct tl_slice key, uint32_t *org_out, uint32_t *session_out);

/* life: org u32, dimension u8, entity u32 */
struct tl_key tl_key_life(uint32_t org, enum tl_dim dim, uint32_t entity);
TL_MUST bool tl_key_life_parse(
	struct tl_slice key, uint32_t *org_out, enum tl_dim *dim_out, uint32_t *entity_out);

/* intake: org u32, arrival day number u64, source u32 */
struct tl_key tl_key_intake(uint32_t org, int64_t day_ms, uint32_t source);
TL_MUST bool tl_key_intake_parse(
	struct tl_slice key, uint32_t *org_out, int64_t *day_ms_out, uint32_t *source_out);

/* quarantine: org u32, id of the event 16 bytes */
struct tl_key tl_key_quarantine(uint32_t org, const uint8_t id[16]);

/* registry: org u32 (0: the installation), record kind u8, number u32 */
struct tl_key tl_key_registry(uint32_t org, uint8_t kind, uint32_t no);
TL_MUST bool tl_key_registry_parse(
	struct tl_slice key, uint32_t *org_out, uint8_t *kind_out, uint32_t *no_out);

/*
 * dict: org u32, then 'n', kind u8, name: the id; 'i', kind u8, first id u32: the names from that
 * id on. In the first a UUID stands as TL_KEY_NAME_UUID and its 16 bytes; a name longer than
 * TL_KEY_NAME_BYTES_MAX or beginning with either mark as TL_KEY_NAME_DIGEST and its SHA-256.
 */
#define TL_KEY_DICT_NAME 'n'
#define TL_KEY_DICT_ID 'i'
#define TL_KEY_NAME_BYTES_MAX 128u
#define TL_KEY_NAME_UUID 0xfe
#define TL_KEY_NAME_DIGEST 0xff
struct tl_key tl_key_dict_name(uint32_t org, enum tl_name_kind kind, struct tl_slice name);
struct tl_key tl_key_dict_id(uint32_t org, enum tl_name_kind kind, uint32_t first_id);

/* mark: a short name */
struct tl_key tl_key_mark(const char *name);

/* The prefix of an org's keys, and the first key after them (empty: the family's end). */
struct tl_key tl_key_org(uint32_t org);
struct tl_key tl_key_org_end(uint32_t org);

/* Text for tl dump: "org=1 bucket=2026-11-21T10:00:00.000Z". */
void tl_key_print(enum tl_family family, struct tl_slice key, struct tl_buf *text);

#endif
