/* A store in a scratch directory that goes with the test. */
#ifndef TL_TESTS_STORE_SCRATCH_H
#define TL_TESTS_STORE_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/base/crypt.h"
#include "schema/store/store.h"

struct scratch {
	char dir[64];
	struct tl_store *store;
	struct tl_buf buf;
	struct tl_why why;
};

static inline enum tl_err
scratch_try(struct scratch *s, bool create, bool read_only)
{
	struct tl_store_options options = {.dir = s->dir, .create = create, .read_only = read_only};

	return tl_store_open(&options, &s->store, &s->why);
}

static inline void
scratch_open(struct scratch *s)
{
	enum tl_err err = scratch_try(s, true, false);

	if (err)
		fail_msg("open: %s: %s", tl_err_name(err), s->why.text);
}

static inline void
scratch_close(struct scratch *s)
{
	tl_store_close(s->store);
	s->store = NULL;
}

static inline void
scratch_reopen(struct scratch *s)
{
	scratch_close(s);
	scratch_open(s);
}

static inline int
scratch_set_up_closed(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	assert_int_equal(tl_crypt_init(), TL_OK);
	snprintf(s->dir, sizeof(s->dir), "/tmp/tally-store-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	tl_buf_init(&s->buf, 0);
	*state = s;
	return 0;
}

static inline int
scratch_set_up(void **state)
{
	scratch_set_up_closed(state);
	scratch_open(*state);
	return 0;
}

static inline int
scratch_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline int
scratch_tear_down(void **state)
{
	struct scratch *s = *state;

	scratch_close(s);
	tl_buf_fini(&s->buf);
	nftw(s->dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(s);
	return 0;
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
#define SCRATCH_TEST_CLOSED(name) \
	cmocka_unit_test_setup_teardown(name, scratch_set_up_closed, scratch_tear_down)

#endif
