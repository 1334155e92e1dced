/* Golden bytes: tests/golden/<file>.hex has lines "name hex"; lines that begin with # are comments.
 */
#ifndef TL_TESTS_STORE_GOLDEN_H
#define TL_TESTS_STORE_GOLDEN_H

#include <stdlib.h>

#include "schema/base/file.h"

/* The bytes behind name, in buf; tests run from the root of the repository. */
static inline struct tl_slice
golden_read(const char *path, const char *name, struct tl_buf *buf)
{
	struct tl_buf file;
	const char *at;
	size_t name_bytes = strlen(name);
	struct tl_slice hex = {NULL, 0};
	uint8_t *data;

	tl_buf_init(&file, 0);
	assert_int_equal(tl_file_read(path, &file, NULL), TL_OK);
	tl_buf_put_u8(&file, 0);
	for (at = (const char *)file.data; at != NULL && *at != '\0';) {
		if (strncmp(at, name, name_bytes) == 0 && at[name_bytes] == ' ')
			hex = tl_slice_of(at + name_bytes + 1, strcspn(at + name_bytes + 1, "\n"));
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	if (hex.data == NULL)
		fail_msg("%s has no line '%s'", path, name);
	tl_buf_reset(buf);
	data = tl_buf_reserve(buf, hex.bytes / 2);
	assert_non_null(data);
	assert_true(tl_unhex(hex, data, hex.bytes / 2));
	tl_buf_advance(buf, hex.bytes / 2);
	tl_buf_fini(&file);
	return tl_buf_slice(buf);
}

/* The bytes are those of the golden line; a difference shows what was made. */
static inline void
golden_check(const char *path, const char *name, struct tl_slice bytes)
{
	struct tl_buf buf;
	char *hex = malloc(2 * bytes.bytes + 1);

	tl_buf_init(&buf, 0);
	tl_hex(bytes.data, bytes.bytes, hex);
	if (!tl_slice_eq(golden_read(path, name, &buf), bytes))
		fail_msg("%s: %s is now %s", path, name, hex);
	free(hex);
	tl_buf_fini(&buf);
}

/* Numbers from a seed, the same on every run. */
static inline uint64_t
next_random(uint64_t *seed)
{
	uint64_t x = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

#endif
