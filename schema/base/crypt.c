#include "schema/base/crypt.h"

#include <endian.h>

#include <sodium.h>
#include <xxhash.h>

enum tl_err
tl_crypt_init(void)
{
	/* 1 says that it was done before. */
	return sodium_init() < 0 ? TL_EINTERNAL : TL_OK;
}

void
tl_random(void *out, size_t bytes)
{
	randombytes_buf(out, bytes);
}

void
tl_sha256(struct tl_slice data, uint8_t digest_out[32])
{
	_Static_assert(crypto_hash_sha256_BYTES == 32, "the size of a digest");
	crypto_hash_sha256(digest_out, data.data, data.bytes);
}

void
tl_hmac_sha256(const uint8_t key[32], struct tl_slice data, uint8_t mac_out[32])
{
	_Static_assert(crypto_auth_hmacsha256_BYTES == 32, "the size of a mac");
	_Static_assert(crypto_auth_hmacsha256_KEYBYTES == 32, "the size of its key");
	crypto_auth_hmacsha256(mac_out, data.data, data.bytes, key);
}

uint64_t
tl_siphash(const uint8_t key[16], struct tl_slice data)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t value;

	_Static_assert(sizeof(hash) == sizeof(value), "SipHash gives 64 bits");
	_Static_assert(crypto_shorthash_KEYBYTES == 16, "the size of its key");
	crypto_shorthash(hash, data.data, data.bytes, key);
	memcpy(&value, hash, sizeof(value));
	return le64toh(value);
}

uint64_t
tl_checksum64(struct tl_slice data)
{
	return XXH3_64bits(data.data, data.bytes);
}

uint32_t
tl_crc32(struct tl_slice data)
{
	/* Four bits a step: keys are short, so 64 bytes of table are enough. */
	static const uint32_t steps[16] = {
		0x00000000,
		0x1db71064,
		0x3b6e20c8,
		0x26d930ac,
		0x76dc4190,
		0x6b6b51f4,
		0x4db26158,
		0x5005713c,
		0xedb88320,
		0xf00f9344,
		0xd6d6a3e8,
		0xcb61b38c,
		0x9b64c2b0,
		0x86d3d2d4,
		0xa00ae278,
		0xbdbdf21c,
	};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < data.bytes; i++) {
		crc ^= data.data[i];
		crc = crc >> 4 ^ steps[crc & 15];
		crc = crc >> 4 ^ steps[crc & 15];
	}
	return ~crc;
}

bool
tl_equal_secret(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	return sodium_memcmp(a, b, bytes) == 0;
}
