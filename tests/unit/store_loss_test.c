#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/key.h"
#include "schema/store/loss.h"
#include "tests/unit/store_golden.h"
#include "tests/unit/store_scratch.h"

#define GOLDEN "tests/golden/highwater.hex"

static void
a_row_has_its_golden_bytes(void **state)
{
	struct tl_loss loss = {
		.accepted_ms = 1795255200000,
		.epoch_before = 0x1122334455667788,
		.epoch = 0x0123456789abcdef,
		.have_group_no = 40,
		.have_seq = 1300,
		.acked_group_no = 44,
		.acked_seq = 1444,
		.cost_nusd = 58440000,
	};
	struct tl_loss got;
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_loss_encode(&loss, &buf);
	golden_check(GOLDEN, "loss", tl_buf_slice(&buf));
	assert_int_equal(tl_loss_decode(tl_buf_slice(&buf), &got), TL_OK);
	assert_memory_equal(&got, &loss, sizeof(loss));
	for (size_t bytes = 0; bytes < buf.bytes; bytes++)
		assert_int_equal(
			tl_loss_decode(tl_slice_of(buf.data, bytes), &got), TL_ESTORAGE_CORRUPT);
	tl_buf_fini(&buf);
}

static void
an_accepted_loss_is_recorded_with_a_new_epoch(void **state)
{
	struct scratch *s = *state;
	struct tl_loss loss = {.have_seq = 1300, .acked_seq = 1444};
	uint64_t epoch_before = tl_store_epoch(s->store);
	struct tl_key key;
	struct tl_loss got;
	char name[32];

	assert_int_equal(tl_loss_accept(s->store, &loss, &s->why), TL_OK);
	assert_true(loss.epoch_before == epoch_before);
	assert_true(loss.epoch != epoch_before && loss.epoch != 0);
	scratch_reopen(s);
	assert_true(tl_store_epoch(s->store) == loss.epoch);
	snprintf(name, sizeof(name), "loss.%016llx", (unsigned long long)loss.epoch);
	key = tl_key_mark(name);
	assert_true(tl_loss_is_key(tl_key_slice(&key)));
	assert_int_equal(
		tl_store_get(s->store, NULL, TL_FAMILY_MARK, tl_key_slice(&key), &s->buf, &s->why),
		TL_OK);
	assert_int_equal(tl_loss_decode(tl_buf_slice(&s->buf), &got), TL_OK);
	assert_int_equal(got.have_seq, 1300);
	assert_int_equal(got.acked_seq, 1444);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_has_its_golden_bytes),
		SCRATCH_TEST(an_accepted_loss_is_recorded_with_a_new_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
