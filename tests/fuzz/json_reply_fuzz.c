/*
 * Any msgpack as JSON: the text is JSON, or the writer says that it could not. JSON has no two
 * equal keys and jansson no NUL in a text, so those two are told apart from broken text.
 */
#include "schema/wire/json.h"
#include "schema/wire/reader.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_buf text;
	struct tl_slice value = tl_slice_of(data, bytes);
	struct tl_json *json = NULL;
	struct tl_why why = {""};
	enum tl_err err;

	if (tl_reader_check(value, 16, NULL))
		return 0;
	tl_buf_reset(&text);
	tl_json_put_reply(&text, value, 0);
	if (text.err)
		return 0;
	assert(tl_utf8_valid(tl_buf_slice(&text)));
	if (data[0] < 0x80 || data[0] >= 0xa0)
		return 0; /* a document is a list or a map */
	err = tl_json_parse(tl_buf_slice(&text), &json, &why);
	assert(err == TL_OK || err == TL_ETOO_DEEP || strstr(why.text, "duplicate") != NULL ||
		strstr(why.text, "\\u0000") != NULL || strstr(why.text, "NUL") != NULL);
	tl_json_free(json);
	return 0;
}
