/* Request targets: what is taken apart is text, within its bounds, and finds one route at most. */
#include <string.h>

#include "schema/net/http_target.h"
#include "tests/fuzz/fuzz.h"

static const struct tl_http_route routes[] = {
	{.method = TL_HTTP_GET, .path = "/"},
	{.method = TL_HTTP_GET, .path = "/api/v1/sessions"},
	{.method = TL_HTTP_GET, .path = "/api/v1/sessions/{id}"},
	{.method = TL_HTTP_DELETE, .path = "/api/v1/agents/{agent}"},
	{.method = TL_HTTP_POST, .path = "/api/v1/agents/{agent}/rotate"},
};

static void
check_text(struct tl_slice text, const char *from, size_t bytes)
{
	assert(text.bytes == 0 || ((const char *)text.data >= from &&
					  (const char *)text.data + text.bytes <= from + bytes));
	assert(tl_utf8_valid(text));
	for (size_t i = 0; i < text.bytes; i++)
		assert(text.data[i] >= 0x20 && text.data[i] != 0x7f);
}

static void
check_route(const struct tl_http_target *target)
{
	struct tl_slice id;
	uint32_t methods;

	for (int method = 0; method < TL_HTTP_METHOD_COUNT; method++) {
		const struct tl_http_route *route =
			tl_http_route_find(routes, sizeof(routes) / sizeof(routes[0]),
				(enum tl_http_method)method, target, &id, &methods);

		assert((route != NULL) == ((methods >> method & 1) != 0));
		if (route == NULL)
			continue;
		assert((strchr(route->path, '{') != NULL) == (id.bytes > 0));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_http_target target;
	struct tl_why why = {""};
	char *text;
	enum tl_err err;

	if (memchr(data, '\0', bytes) != NULL)
		return 0;
	text = malloc(bytes + 1);
	assert(text != NULL);
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	err = tl_http_target_parse(text, &target, &why);
	assert(!err || (err == TL_EBAD_PARAM && why.text[0] != '\0'));
	if (!err) {
		assert(target.part_count >= 1 && target.part_count <= TL_HTTP_PARTS_MAX);
		assert(target.param_count <= TL_HTTP_PARAMS_MAX);
		for (uint32_t i = 0; i < target.part_count; i++)
			check_text(target.parts[i], text, bytes);
		for (uint32_t i = 0; i < target.param_count; i++) {
			check_text(target.params[i].name, text, bytes);
			check_text(target.params[i].value, text, bytes);
		}
		check_route(&target);
	}
	free(text);
	return 0;
}
