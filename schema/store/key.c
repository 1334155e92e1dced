/*
 * Keys sort as the tuples they are made of: big-endian integers, signed ones with the sign bit
 * flipped, text last.
 */
#include "schema/store/key.h"

#include <assert.h>
#include <inttypes.h>

#include "schema/base/crypt.h"
#include "schema/store/dict_row.h"

#define SIGN_BIT (UINT64_C(1) << 63)
#define PRINT_TEXT_BYTES_MAX 200u

/* Of keys of sealed days: above every group number. */
#define RUN_BYTE 0xfe
#define CHUNK_BYTE 0xff

static void
put_u8(struct tl_key *key, uint8_t value)
{
	assert(key->bytes + 1 <= TL_KEY_BYTES_MAX);
	key->data[key->bytes] = value;
	key->bytes += 1;
}

static void
put_u16(struct tl_key *key, uint16_t value)
{
	assert(key->bytes + 2 <= TL_KEY_BYTES_MAX);
	tl_put_be16(key->data + key->bytes, value);
	key->bytes += 2;
}

static void
put_u32(struct tl_key *key, uint32_t value)
{
	assert(key->bytes + 4 <= TL_KEY_BYTES_MAX);
	tl_put_be32(key->data + key->bytes, value);
	key->bytes += 4;
}

static void
put_u64(struct tl_key *key, uint64_t value)
{
	assert(key->bytes + 8 <= TL_KEY_BYTES_MAX);
	tl_put_be64(key->data + key->bytes, value);
	key->bytes += 8;
}

static void
put_text(struct tl_key *key, struct tl_slice text)
{
	assert(text.bytes <= TL_KEY_BYTES_MAX - key->bytes);
	if (text.bytes > 0)
		memcpy(key->data + key->bytes, text.data, text.bytes);
	key->bytes += text.bytes;
}

static void
put_bucket(struct tl_key *key, enum tl_span span, int64_t time_ms)
{
	put_u64(key, (uint64_t)tl_bucket_no(span, time_ms) ^ SIGN_BIT);
}

/* False when the bucket does not lie within the int64 of milliseconds. */
static bool
bucket_ms_of(uint64_t bits, enum tl_span span, int64_t *time_ms_out)
{
	int64_t end_ms;

	return !__builtin_mul_overflow((int64_t)(bits ^ SIGN_BIT), tl_span_ms(span), time_ms_out) &&
	       !__builtin_add_overflow(*time_ms_out, tl_span_ms(span), &end_ms);
}

struct tl_key
tl_key_after(struct tl_slice key)
{
	struct tl_key after = {.bytes = key.bytes + 1};

	/* The key itself and a zero byte. */
	assert(after.bytes <= sizeof(after.data));
	memcpy(after.data, key.data, key.bytes);
	after.data[key.bytes] = 0;
	return after;
}

struct tl_key
tl_key_journal(uint64_t group_no)
{
	struct tl_key key = {.bytes = 0};

	put_u64(&key, group_no);
	return key;
}

bool
tl_key_journal_parse(struct tl_slice key, uint64_t *group_no_out)
{
	if (key.bytes != 8)
		return false;
	*group_no_out = tl_get_be64(key.data);
	return true;
}

struct tl_key
tl_key_block(uint64_t group_no, uint16_t block_no)
{
	struct tl_key key = {.bytes = 0};

	put_u64(&key, group_no);
	put_u16(&key, block_no);
	return key;
}

bool
tl_key_block_parse(struct tl_slice key, uint64_t *group_no_out, uint16_t *block_no_out)
{
	if (key.bytes != 10)
		return false;
	*group_no_out = tl_get_be64(key.data);
	*block_no_out = tl_get_be16(key.data + 8);
	return true;
}

struct tl_key
tl_key_run(uint64_t group_last)
{
	struct tl_key key = {.bytes = 0};

	put_u8(&key, RUN_BYTE);
	put_u64(&key, group_last);
	return key;
}

bool
tl_key_run_parse(struct tl_slice key, uint64_t *group_last_out)
{
	if (key.bytes != 9 || key.data[0] != RUN_BYTE)
		return false;
	*group_last_out = tl_get_be64(key.data + 1);
	return true;
}

struct tl_key
tl_key_chunk(uint64_t group_last, uint16_t chunk_idx)
{
	struct tl_key key = {.bytes = 0};

	put_u8(&key, CHUNK_BYTE);
	put_u64(&key, group_last);
	put_u16(&key, chunk_idx);
	return key;
}

bool
tl_key_chunk_parse(struct tl_slice key, uint64_t *group_last_out, uint16_t *chunk_idx_out)
{
	if (key.bytes != 11 || key.data[0] != CHUNK_BYTE)
		return false;
	*group_last_out = tl_get_be64(key.data + 1);
	*chunk_idx_out = tl_get_be16(key.data + 9);
	return true;
}

struct tl_key
tl_key_cell(uint32_t org, enum tl_span span, int64_t bucket_ms)
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	put_bucket(&key, span, bucket_ms);
	return key;
}

struct tl_key
tl_key_page(const struct tl_page_place *place)
{
	struct tl_key key = tl_key_cell(place->org, place->span, place->bucket_ms);

	put_u32(&key, place->part);
	return key;
}

bool
tl_key_page_parse(struct tl_slice key, enum tl_span span, struct tl_page_place *place_out)
{
	int64_t bucket_ms;

	if (key.bytes != 16 || !bucket_ms_of(tl_get_be64(key.data + 4), span, &bucket_ms))
		return false;
	*place_out = (struct tl_page_place){.org = tl_get_be32(key.data),
		.span = span,
		.bucket_ms = bucket_ms,
		.part = tl_get_be32(key.data + 12)};
	return true;
}

enum tl_family
tl_cell_family(enum tl_span span)
{
	assert(span == TL_SPAN_1H || span == TL_SPAN_1D);
	return span == TL_SPAN_1H ? TL_FAMILY_CELL_1H : TL_FAMILY_CELL_1D;
}

struct tl_key
tl_key_session(uint32_t org, uint32_t session)
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	put_u32(&key, session);
	return key;
}

bool
tl_key_session_parse(struct tl_slice key, uint32_t *org_out, uint32_t *session_out)
{
	if (key.bytes != 8)
		return false;
	*org_out = tl_get_be32(key.data);
	*session_out = tl_get_be32(key.data + 4);
	return true;
}

struct tl_key
tl_key_life(uint32_t org, enum tl_dim dim, uint32_t entity)
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	put_u8(&key, (uint8_t)dim);
	put_u32(&key, entity);
	return key;
}

bool
tl_key_life_parse(
	struct tl_slice key, uint32_t *org_out, enum tl_dim *dim_out, uint32_t *entity_out)
{
	if (key.bytes != 9 || key.data[4] > TL_DIM_SESSION)
		return false;
	*org_out = tl_get_be32(key.data);
	*dim_out = (enum tl_dim)key.data[4];
	*entity_out = tl_get_be32(key.data + 5);
	return true;
}

struct tl_key
tl_key_intake(uint32_t org, int64_t day_ms, uint32_t source)
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	put_bucket(&key, TL_SPAN_1D, day_ms);
	put_u32(&key, source);
	return key;
}

bool
tl_key_intake_parse(
	struct tl_slice key, uint32_t *org_out, int64_t *day_ms_out, uint32_t *source_out)
{
	if (key.bytes != 16 || !bucket_ms_of(tl_get_be64(key.data + 4), TL_SPAN_1D, day_ms_out))
		return false;
	*org_out = tl_get_be32(key.data);
	*source_out = tl_get_be32(key.data + 12);
	return true;
}

struct tl_key
tl_key_quarantine(uint32_t org, const uint8_t id[16])
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	memcpy(key.data + key.bytes, id, 16);
	key.bytes += 16;
	return key;
}

struct tl_key
tl_key_registry(uint32_t org, uint8_t kind, uint32_t no)
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	put_u8(&key, kind);
	put_u32(&key, no);
	return key;
}

bool
tl_key_registry_parse(struct tl_slice key, uint32_t *org_out, uint8_t *kind_out, uint32_t *no_out)
{
	if (key.bytes != 9)
		return false;
	*org_out = tl_get_be32(key.data);
	*kind_out = key.data[4];
	*no_out = tl_get_be32(key.data + 5);
	return true;
}

/*
 * A long name is replaced by its digest so that keys stay short. One that begins with a mark is
 * replaced too, whatever its length: then no name can pass for another's digest or a UUID.
 */
struct tl_key
tl_key_dict_name(uint32_t org, enum tl_name_kind kind, struct tl_slice name)
{
	struct tl_key key = {.bytes = 0};
	uint8_t uuid[TL_UUID_BYTES];
	uint8_t digest[32];

	put_u32(&key, org);
	put_u8(&key, TL_KEY_DICT_NAME);
	put_u8(&key, (uint8_t)kind);
	if (tl_uuid_pack(name, uuid)) {
		put_u8(&key, TL_KEY_NAME_UUID);
		put_text(&key, tl_slice_of(uuid, sizeof(uuid)));
		return key;
	}
	if (name.bytes <= TL_KEY_NAME_BYTES_MAX &&
		(name.bytes == 0 || name.data[0] < TL_KEY_NAME_UUID)) {
		put_text(&key, name);
		return key;
	}
	tl_sha256(name, digest);
	put_u8(&key, TL_KEY_NAME_DIGEST);
	put_text(&key, tl_slice_of(digest, sizeof(digest)));
	return key;
}

struct tl_key
tl_key_dict_id(uint32_t org, enum tl_name_kind kind, uint32_t first_id)
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	put_u8(&key, TL_KEY_DICT_ID);
	put_u8(&key, (uint8_t)kind);
	put_u32(&key, first_id);
	return key;
}

struct tl_key
tl_key_mark(const char *name)
{
	struct tl_key key = {.bytes = 0};

	put_text(&key, tl_slice_str(name));
	return key;
}

struct tl_key
tl_key_org(uint32_t org)
{
	struct tl_key key = {.bytes = 0};

	put_u32(&key, org);
	return key;
}

/* Nothing comes after the keys of the last org: the empty key, which a scan takes as the end. */
struct tl_key
tl_key_org_end(uint32_t org)
{
	struct tl_key key = {.bytes = 0};

	if (org < UINT32_MAX)
		put_u32(&key, org + 1);
	return key;
}

/* Printable ASCII as it is, the rest as \xNN; long text is cut. */
static void
print_text(struct tl_slice bytes, struct tl_buf *text)
{
	for (size_t i = 0; i < bytes.bytes && i < PRINT_TEXT_BYTES_MAX; i++) {
		uint8_t c = bytes.data[i];

		if (c >= 0x20 && c < 0x7f && c != '\\' && c != '"')
			tl_buf_put_u8(text, c);
		else
			tl_buf_printf(text, "\\x%02x", c);
	}
	if (bytes.bytes > PRINT_TEXT_BYTES_MAX)
		tl_buf_put_str(text, "...");
}

static void
print_hex(struct tl_slice bytes, struct tl_buf *text)
{
	for (size_t i = 0; i < bytes.bytes; i++)
		tl_buf_printf(text, "%02x", bytes.data[i]);
}

static bool
print_cell(enum tl_span span, struct tl_slice key, struct tl_buf *text)
{
	char time[TL_TIME_TEXT_BYTES];
	struct tl_page_place place;

	if (!tl_key_page_parse(key, span, &place))
		return false;
	tl_time_format(place.bucket_ms, time);
	tl_buf_printf(text, "org=%" PRIu32 " bucket=%s part=%" PRIu32, place.org, time, place.part);
	return true;
}

static void
print_name(struct tl_slice name, struct tl_buf *text)
{
	char uuid[TL_UUID_TEXT_BYTES + 1];

	if (name.bytes == 33 && name.data[0] == TL_KEY_NAME_DIGEST) {
		tl_buf_put_str(text, "sha256=");
		print_hex(tl_slice_of(name.data + 1, 32), text);
		return;
	}
	if (name.bytes == 1 + TL_UUID_BYTES && name.data[0] == TL_KEY_NAME_UUID) {
		tl_uuid_text(name.data + 1, uuid);
		name = tl_slice_str(uuid);
	}
	tl_buf_put_str(text, "name=\"");
	print_text(name, text);
	tl_buf_put_str(text, "\"");
}

static bool
print_dict(struct tl_slice key, struct tl_buf *text)
{
	struct tl_slice rest;
	uint32_t org;

	if (key.bytes < 6)
		return false;
	org = tl_get_be32(key.data);
	rest = tl_slice_of(key.data + 6, key.bytes - 6);
	switch (key.data[4]) {
	case TL_KEY_DICT_NAME:
		tl_buf_printf(text, "org=%" PRIu32 " kind=%u ", org, key.data[5]);
		print_name(rest, text);
		return true;
	case TL_KEY_DICT_ID:
		if (rest.bytes != 4)
			return false;
		tl_buf_printf(text, "org=%" PRIu32 " kind=%u first_id=%" PRIu32, org, key.data[5],
			tl_get_be32(rest.data));
		return true;
	default:
		return false;
	}
}

static const char *
dim_name(enum tl_dim dim)
{
	switch (dim) {
	case TL_DIM_ORG:
		return "org";
	case TL_DIM_MEMBER:
		return "member";
	case TL_DIM_AGENT:
		return "agent";
	case TL_DIM_MODEL:
		return "model";
	case TL_DIM_REPO:
		return "repo";
	case TL_DIM_PR:
		return "pr";
	case TL_DIM_SESSION:
		return "session";
	}
	assert(!"a dimension");
	return "";
}

static bool
print_life(struct tl_slice key, struct tl_buf *text)
{
	uint32_t org;
	uint32_t entity;
	enum tl_dim dim;

	if (!tl_key_life_parse(key, &org, &dim, &entity))
		return false;
	tl_buf_printf(text, "org=%" PRIu32 " %s=%" PRIu32, org, dim_name(dim), entity);
	return true;
}

static bool
print_intake(struct tl_slice key, struct tl_buf *text)
{
	char day[TL_DAY_TEXT_BYTES];
	int64_t day_ms;
	uint32_t org;
	uint32_t source;

	if (!tl_key_intake_parse(key, &org, &day_ms, &source))
		return false;
	tl_day_format(day_ms, day);
	tl_buf_printf(text, "org=%" PRIu32 " day=%s source=%" PRIu32, org, day, source);
	return true;
}

static bool
print_known(enum tl_family family, struct tl_slice key, struct tl_buf *text)
{
	switch (family) {
	case TL_FAMILY_MARK:
		tl_buf_put_str(text, "mark=");
		print_text(key, text);
		return true;
	case TL_FAMILY_JOURNAL:
		if (key.bytes != 8)
			return false;
		tl_buf_printf(text, "group=%" PRIu64, tl_get_be64(key.data));
		return true;
	case TL_FAMILY_DICT:
		return print_dict(key, text);
	case TL_FAMILY_CELL_1H:
		return print_cell(TL_SPAN_1H, key, text);
	case TL_FAMILY_CELL_1D:
		return print_cell(TL_SPAN_1D, key, text);
	case TL_FAMILY_SESSION:
		if (key.bytes != 8)
			return false;
		tl_buf_printf(text, "org=%" PRIu32 " session=%" PRIu32, tl_get_be32(key.data),
			tl_get_be32(key.data + 4));
		return true;
	case TL_FAMILY_LIFE:
		return print_life(key, text);
	case TL_FAMILY_QUARANTINE:
		if (key.bytes != 20)
			return false;
		tl_buf_printf(text, "org=%" PRIu32 " id=", tl_get_be32(key.data));
		print_hex(tl_slice_of(key.data + 4, 16), text);
		return true;
	case TL_FAMILY_INTAKE:
		return print_intake(key, text);
	case TL_FAMILY_REGISTRY:
		if (key.bytes != 9)
			return false;
		tl_buf_printf(text, "org=%" PRIu32 " record=%u no=%" PRIu32, tl_get_be32(key.data),
			key.data[4], tl_get_be32(key.data + 5));
		return true;
	case TL_FAMILY_COUNT:
		break;
	}
	return false;
}

void
tl_key_print(enum tl_family family, struct tl_slice key, struct tl_buf *text)
{
	if (print_known(family, key, text))
		return;
	tl_buf_put_str(text, "key=");
	print_hex(key, text);
}
