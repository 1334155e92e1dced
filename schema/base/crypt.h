/* Random bytes, digests, MACs and checksums: libsodium and xxhash stop here. */
#ifndef TL_BASE_CRYPT_H
#define TL_BASE_CRYPT_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/* Once per process, before anything else here. */
TL_MUST enum tl_err tl_crypt_init(void);

void tl_random(void *out, size_t bytes);

void tl_sha256(struct tl_slice data, uint8_t digest_out[32]);
void tl_hmac_sha256(const uint8_t key[32], struct tl_slice data, uint8_t mac_out[32]);

/* SipHash-2-4, keyed: also where the hash is shown. Tables that compare keys have tl_hash. */
uint64_t tl_siphash(const uint8_t key[16], struct tl_slice data);

/* XXH3-64, a checksum: never where a stranger chooses the bytes to collide. */
uint64_t tl_checksum64(struct tl_slice data);

/* CRC-32 as zlib's crc32, for the typo check in keys. */
uint32_t tl_crc32(struct tl_slice data);

/* Constant time in the content. */
bool tl_equal_secret(const uint8_t *a, const uint8_t *b, size_t bytes);

#endif
