#include "query/api/params.h"

#include <stdio.h>

static bool
find_field(const struct tl_relay_route *route, struct tl_slice name, const char **wire_out)
{
	const struct tl_relay_field *field = route->fields;

	for (; field != NULL && field->name != NULL; field++) {
		if (tl_slice_eq(name, tl_slice_str(field->name))) {
			*wire_out = field->wire != NULL ? field->wire : field->name;
			return true;
		}
	}
	return false;
}

bool
params_put(struct tl_buf *question, struct tl_pack_open *map, struct tl_http_request *request,
	const struct tl_relay_route *route)
{
	const struct tl_http_target *target = tl_http_request_target(request);
	char name[64];

	for (uint32_t i = 0; i < target->param_count; i++) {
		const struct tl_http_param *param = &target->params[i];
		const char *wire;

		if (!find_field(route, param->name, &wire)) {
			snprintf(name, sizeof(name), "%.*s", (int)param->name.bytes,
				(const char *)param->name.data);
			tl_relay_refuse(request, TL_EBAD_PARAM, name, "no such parameter");
			return false;
		}
		if (param->value.bytes > 0 && wire[0] != '\0')
			tl_pack_key_slice(question, map, wire, param->value);
	}
	return true;
}
