/* Keys and tokens: one that parses names itself by its beginning, and is refused with any one of
 * its characters another or one missing, which is what the check digits are for. */
#include "schema/registry/apikey.h"
#include "tests/fuzz/fuzz.h"

static void
check_typos(struct tl_slice token, uint8_t other)
{
	char text[TL_TOKEN_BYTES_MAX];
	struct tl_slice key_id;

	memcpy(text, token.data, token.bytes);
	assert(!tl_token_parse(tl_slice_of(text, token.bytes - 1), &key_id));
	for (size_t i = 0; i < token.bytes; i++) {
		char right = text[i];

		text[i] = (char)(right == (char)other ? right ^ 1 : (char)other);
		assert(!tl_token_parse(tl_slice_of(text, token.bytes), &key_id));
		text[i] = right;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice token = tl_slice_of(data, bytes);
	enum tl_credential_type type;
	struct tl_slice key_id;

	if (tl_credential_type_parse(token, &type))
		assert(tl_slice_eq(token, tl_slice_str(tl_credential_type_word(type))));
	if (!tl_token_parse(token, &key_id))
		return 0;
	assert(bytes < TL_TOKEN_BYTES_MAX);
	assert(key_id.data == data && key_id.bytes < TL_KEY_ID_BYTES && data[key_id.bytes] == '_');
	check_typos(token, data[bytes - 1]);
	return 0;
}
