#include "schema/net/http_target.h"

#include <assert.h>

const char *
tl_http_method_name(enum tl_http_method method)
{
	static const char *const names[TL_HTTP_METHOD_COUNT] = {
		[TL_HTTP_GET] = "GET",
		[TL_HTTP_POST] = "POST",
		[TL_HTTP_PATCH] = "PATCH",
		[TL_HTTP_DELETE] = "DELETE",
	};

	assert(method < TL_HTTP_METHOD_COUNT);
	return names[method];
}

enum plus {
	PLUS_IS_PLUS,
	PLUS_IS_SPACE,
};

/* Decode [at, end) onto itself: it only gets shorter. */
static enum tl_err
decode(char *at, char *end, enum plus plus, struct tl_slice *text_out, struct tl_why *why)
{
	char *to = at;
	char *from = at;
	struct tl_slice text;

	while (from < end) {
		uint8_t byte = (uint8_t)*from++;

		if (byte == '+' && plus == PLUS_IS_SPACE) {
			byte = ' ';
		} else if (byte == '%') {
			if (end - from < 2 || !tl_unhex(tl_slice_of(from, 2), &byte, 1))
				return tl_fail(why, TL_EBAD_PARAM,
					"the address has a '%%' without two hex digits");
			from += 2;
		}
		if (byte < 0x20 || byte == 0x7f)
			return tl_fail(why, TL_EBAD_PARAM, "the address has a control byte");
		*to++ = (char)byte;
	}
	text = tl_slice_of(at, (size_t)(to - at));
	if (!tl_utf8_valid(text))
		return tl_fail(why, TL_EBAD_PARAM, "the address is not UTF-8");
	*text_out = text;
	return TL_OK;
}

static enum tl_err
parse_path(char *at, char *end, struct tl_http_target *target, struct tl_why *why)
{
	if (at == end || *at != '/')
		return tl_fail(why, TL_EBAD_PARAM, "the address does not begin with '/'");
	while (at < end) {
		char *next = memchr(at + 1, '/', (size_t)(end - at - 1));
		enum tl_err err;

		if (next == NULL)
			next = end;
		if (target->part_count == TL_HTTP_PARTS_MAX)
			return tl_fail(why, TL_EBAD_PARAM, "the address has too many segments");
		err = decode(at + 1, next, PLUS_IS_PLUS, &target->parts[target->part_count++], why);
		if (err)
			return err;
		at = next;
	}
	return TL_OK;
}

static enum tl_err
add_param(char *at, char *end, struct tl_http_target *target, struct tl_why *why)
{
	struct tl_http_param *param = &target->params[target->param_count];
	char *equals = memchr(at, '=', (size_t)(end - at));
	enum tl_err err;

	if (target->param_count == TL_HTTP_PARAMS_MAX)
		return tl_fail(why, TL_EBAD_PARAM, "the address has too many parameters");
	*param = (struct tl_http_param){.value = tl_slice_of(end, 0)};
	err = decode(at, equals != NULL ? equals : end, PLUS_IS_SPACE, &param->name, why);
	if (!err && equals != NULL)
		err = decode(equals + 1, end, PLUS_IS_SPACE, &param->value, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < target->param_count; i++) {
		if (tl_slice_eq(target->params[i].name, param->name))
			return tl_fail(why, TL_EBAD_PARAM, "%.*s: given twice",
				(int)(param->name.bytes < 32 ? param->name.bytes : 32),
				(const char *)param->name.data);
	}
	target->param_count++;
	return TL_OK;
}

static enum tl_err
parse_query(char *at, char *end, struct tl_http_target *target, struct tl_why *why)
{
	while (at < end) {
		char *next = memchr(at, '&', (size_t)(end - at));
		enum tl_err err = TL_OK;

		if (next == NULL)
			next = end;
		if (next > at)
			err = add_param(at, next, target, why);
		if (err)
			return err;
		at = next + 1;
	}
	return TL_OK;
}

enum tl_err
tl_http_target_parse(char *text, struct tl_http_target *target_out, struct tl_why *why)
{
	char *end = text + strlen(text);
	char *query = memchr(text, '?', (size_t)(end - text));
	enum tl_err err;

	*target_out = (struct tl_http_target){0};
	err = parse_path(text, query != NULL ? query : end, target_out, why);
	if (!err && query != NULL)
		err = parse_query(query + 1, end, target_out, why);
	return err;
}

struct tl_slice
tl_http_target_param(const struct tl_http_target *target, const char *name)
{
	for (uint32_t i = 0; i < target->param_count; i++) {
		if (tl_slice_eq(target->params[i].name, tl_slice_str(name)))
			return target->params[i].value;
	}
	return tl_slice_of(NULL, 0);
}

static bool
matches(const char *path, const struct tl_http_target *target, struct tl_slice *id_out)
{
	*id_out = tl_slice_of(NULL, 0);
	for (uint32_t i = 0; i < target->part_count; i++) {
		size_t bytes;

		if (*path != '/')
			return false;
		path++;
		bytes = strcspn(path, "/");
		if (*path == '{' && target->parts[i].bytes > 0)
			*id_out = target->parts[i];
		else if (!tl_slice_eq(tl_slice_of(path, bytes), target->parts[i]))
			return false;
		path += bytes;
	}
	return *path == '\0';
}

const struct tl_http_route *
tl_http_route_find(const struct tl_http_route *routes, uint32_t route_count,
	enum tl_http_method method, const struct tl_http_target *target, struct tl_slice *id_out,
	uint32_t *methods_out)
{
	const struct tl_http_route *found = NULL;

	*methods_out = 0;
	*id_out = tl_slice_of(NULL, 0);
	for (uint32_t i = 0; i < route_count; i++) {
		struct tl_slice id;

		if (!matches(routes[i].path, target, &id))
			continue;
		*methods_out |= 1u << routes[i].method;
		if (routes[i].method == method && found == NULL) {
			found = &routes[i];
			*id_out = id;
		}
	}
	return found;
}
