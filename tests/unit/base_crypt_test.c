#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "schema/base/crypt.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
starting_twice_is_fine(void **state)
{
	(void)state;
	assert_int_equal(tl_crypt_init(), TL_OK);
	assert_int_equal(tl_crypt_init(), TL_OK);
}

/* Compared as hex, so that a failure shows both. */
static void
assert_hex(const uint8_t *data, size_t bytes, const char *expected)
{
	char text[65];

	assert_in_range(bytes, 0, 32);
	tl_hex(data, bytes, text);
	assert_string_equal(text, expected);
}

static const struct {
	const char *text;
	const char *digest;
} digests[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void
sha256_gives_the_digests_of_fips_180(void **state)
{
	uint8_t digest[32];

	(void)state;
	for (size_t i = 0; i < COUNT(digests); i++) {
		tl_sha256(tl_slice_str(digests[i].text), digest);
		assert_hex(digest, 32, digests[i].digest);
	}
	tl_sha256(tl_slice_of(NULL, 0), digest);
	assert_hex(digest, 32, digests[0].digest);
}

/* RFC 4231 cases 1 and 2: a short key is the same as one filled up with zeroes. */
static void
hmac_gives_the_macs_of_rfc_4231(void **state)
{
	uint8_t key[32] = {0};
	uint8_t mac[32];

	(void)state;
	memset(key, 0x0b, 20);
	tl_hmac_sha256(key, tl_slice_str("Hi There"), mac);
	assert_hex(mac, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0, sizeof(key));
	memcpy(key, "Jefe", 4);
	tl_hmac_sha256(key, tl_slice_str("what do ya want for nothing?"), mac);
	assert_hex(mac, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* The first rows of vectors_sip64 in the reference implementation, read as little-endian. */
static void
siphash_gives_the_reference_vectors(void **state)
{
	uint8_t key[16];
	uint8_t data[15];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	assert_true(tl_siphash(key, tl_slice_of(NULL, 0)) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(tl_siphash(key, tl_slice_of(data, 1)) == UINT64_C(0x74f839c593dc67fd));
	assert_true(tl_siphash(key, tl_slice_of(data, 15)) == UINT64_C(0xa129ca6149be45e5));
}

static const struct {
	const char *text;
	uint32_t crc;
} crcs[] = {
	{"", 0},
	{"a", 0xe8b7be43},
	{"123456789", 0xcbf43926},
	{"The quick brown fox jumps over the lazy dog", 0x414fa339},
	{"\xff\xfe\x80", 0x265ea2ec},
};

static void
crc32_is_the_one_of_zlib(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(crcs); i++)
		assert_int_equal(tl_crc32(tl_slice_str(crcs[i].text)), crcs[i].crc);
	assert_int_equal(tl_crc32(tl_slice_of(NULL, 0)), 0);
}

/* Stored bytes depend on it: a library that gave another value would break every block. */
static void
the_checksum_is_xxh3(void **state)
{
	(void)state;
	assert_true(tl_checksum64(tl_slice_of(NULL, 0)) == UINT64_C(0x2d06800538d394c2));
	assert_true(tl_checksum64(tl_slice_str("abc")) == UINT64_C(0x78af5f94892f3950));
}

static void
random_bytes_differ_each_time(void **state)
{
	uint8_t a[16] = {0};
	uint8_t b[16] = {0};

	(void)state;
	tl_random(a, sizeof(a));
	tl_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	tl_random(a, 0);
}

static void
secrets_are_equal_when_every_byte_is(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	tl_random(a, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(tl_equal_secret(a, b, sizeof(a)));
	assert_true(tl_equal_secret(a, b, 0));
	for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(tl_equal_secret(a, b, sizeof(a)));
		assert_true(tl_equal_secret(a, b, bit / 8));
		b[bit / 8] = a[bit / 8];
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starting_twice_is_fine),
		cmocka_unit_test(sha256_gives_the_digests_of_fips_180),
		cmocka_unit_test(hmac_gives_the_macs_of_rfc_4231),
		cmocka_unit_test(siphash_gives_the_reference_vectors),
		cmocka_unit_test(crc32_is_the_one_of_zlib),
		cmocka_unit_test(the_checksum_is_xxh3),
		cmocka_unit_test(random_bytes_differ_each_time),
		cmocka_unit_test(secrets_are_equal_when_every_byte_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
