/* The prices a program uses: the built-in ones, and over them a file of the operator's. */
#ifndef DEPLOY_PRICE_FILE_H
#define DEPLOY_PRICE_FILE_H

#include "schema/model/price.h"

/* path "" : only the built-in ones. The caller frees *prices_out. why names file and line. */
TL_MUST enum tl_err price_file_open(
	const char *path, struct tl_prices **prices_out, struct tl_why *why);

#endif
