#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/net/http_address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tl_http_address
address(const char *text)
{
	struct tl_http_address parsed;

	if (!tl_http_address_parse(tl_slice_str(text), &parsed))
		fail_msg("%s is no address", text);
	return parsed;
}

static void
addresses_are_numbers_and_nothing_else(void **state)
{
	static const char *const wrong[] = {"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ",
		" 1.2.3.4", "1.2.3.4:5", "::1%lo", "[::1]", "localhost", "1.2.3.4/8", "::g",
		"11111:2222:3333:4444:5555:6666:7777:8888:9999"};
	struct tl_http_address parsed, v4 = address("192.0.2.1"), v6 = address("2001:db8::1");
	struct tl_http_address same_net = address("2001:db8::2");
	struct tl_http_address mapped = address("::ffff:192.0.2.1");

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		if (tl_http_address_parse(tl_slice_str(wrong[i]), &parsed))
			fail_msg("'%s' was taken", wrong[i]);
	}
	assert_false(tl_http_address_parse(tl_slice_of("1.2.3.4\0x", 9), &parsed));
	assert_memory_equal(&v4, &mapped, sizeof(v4));
	assert_int_equal(tl_http_address_key(&v4).bytes, 16);
	assert_true(tl_slice_eq(tl_http_address_key(&v6), tl_http_address_key(&same_net)));
	v4 = address("127.3.2.1");
	assert_true(tl_http_address_is_loopback(&v4));
	v4 = address("::1");
	assert_true(tl_http_address_is_loopback(&v4));
	assert_false(tl_http_address_is_loopback(&v6));
}

static void
proxies_are_addresses_and_networks(void **state)
{
	static const char *const wrong[] = {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
		"10.0.0.0/8x", "::/129", "proxy.test", "10.0.0.1 x"};
	static const struct {
		const char *address;
		bool wanted;
	} cases[] = {{"10.0.0.1", true}, {"10.0.0.2", false}, {"10.1.255.9", true},
		{"10.2.0.0", false}, {"172.16.31.255", true}, {"172.16.32.0", false},
		{"2001:db8:ffff::1", true}, {"2001:db9::1", false}, {"::1", false}};
	struct tl_http_proxies proxies;
	struct tl_why why;

	(void)state;
	assert_int_equal(tl_http_proxies_parse("10.0.0.1, 10.1.0.0/16,172.16.0.0/19 2001:db8::/32",
				 &proxies, &why),
		TL_OK);
	assert_int_equal(proxies.count, 4);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tl_http_address peer = address(cases[i].address);

		if (tl_http_proxies_have(&proxies, &peer) != cases[i].wanted)
			fail_msg("%s", cases[i].address);
	}
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(tl_http_proxies_parse(wrong[i], &proxies, &why), TL_ECONFIG);
}

static void
the_client_is_the_last_who_is_no_proxy(void **state)
{
	static const struct {
		const char *peer, *header, *wanted;
		enum tl_http_forwarded which;
	} cases[] = {
		{"10.0.0.1", "192.0.2.7", "192.0.2.7", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2", "192.0.2.7",
			TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", ",198.51.100.1,192.0.2.7:4711", "192.0.2.7", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "2001:db8::7", "2001:db8::7", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "[2001:db8::7]:80", "2001:db8::7", TL_HTTP_FORWARDED_FOR},
		/* Who is no proxy speaks for nobody. */
		{"192.0.2.9", "192.0.2.7", "192.0.2.9", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "192.0.2.7", "10.0.0.1", TL_HTTP_FORWARDED_NONE},
		/* What cannot be read is the word of the proxy that said it. */
		{"10.0.0.1", "", "10.0.0.1", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "unknown", "10.0.0.1", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "192.0.2.7,", "10.0.0.1", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "192.0.2.7, x, 10.0.0.2", "10.0.0.2", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", TL_HTTP_FORWARDED_FOR},
		{"10.0.0.1", "for=192.0.2.7", "192.0.2.7", TL_HTTP_FORWARDED},
		{"10.0.0.1", "for=198.51.100.1, For=\"[2001:db8::7]:4711\";proto=https",
			"2001:db8::7", TL_HTTP_FORWARDED},
		{"10.0.0.1", "by=10.0.0.9; for=192.0.2.7:80 ;host=x", "192.0.2.7",
			TL_HTTP_FORWARDED},
		{"10.0.0.1", "by=192.0.2.7", "10.0.0.1", TL_HTTP_FORWARDED},
		{"10.0.0.1", "for=_hidden", "10.0.0.1", TL_HTTP_FORWARDED},
		{"10.0.0.1", "for=", "10.0.0.1", TL_HTTP_FORWARDED},
	};
	struct tl_http_proxies proxies;

	(void)state;
	assert_int_equal(tl_http_proxies_parse("10.0.0.0/24", &proxies, NULL), TL_OK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tl_http_address peer = address(cases[i].peer);
		struct tl_http_address wanted = address(cases[i].wanted);
		struct tl_http_address client = tl_http_client_address(
			&peer, &proxies, cases[i].which, tl_slice_str(cases[i].header));

		if (memcmp(&client, &wanted, sizeof(client)) != 0)
			fail_msg("%s: '%s'", cases[i].peer, cases[i].header);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_numbers_and_nothing_else),
		cmocka_unit_test(proxies_are_addresses_and_networks),
		cmocka_unit_test(the_client_is_the_last_who_is_no_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
