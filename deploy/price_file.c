#include "deploy/price_file.h"

#include "schema/base/file.h"

#define FILE_BYTES_MAX (1u << 20)

enum tl_err
price_file_open(const char *path, struct tl_prices **prices_out, struct tl_why *why)
{
	struct tl_buf own;
	enum tl_err err = TL_OK;

	tl_buf_init(&own, FILE_BYTES_MAX);
	if (path[0] != '\0')
		err = tl_file_read(path, &own, why);
	if (!err)
		err = tl_prices_new(tl_buf_slice(&own), prices_out, why);
	tl_buf_fini(&own);
	return err;
}
