#include "deploy/exit_code.h"

enum exit_code
exit_code_of(enum tl_err err)
{
	if (err == TL_OK)
		return EXIT_CODE_OK;
	if (err == TL_EUSAGE || err == TL_EBAD_PARAM || err == TL_ENOT_FOUND)
		return EXIT_CODE_USAGE;
	if (err == TL_EACKED_DATA_MISSING || err == TL_ESTORAGE_CORRUPT)
		return EXIT_CODE_DATA;
	if (err == TL_ELOCKED)
		return EXIT_CODE_LOCKED;
	if (err == TL_ECONFIG || err == TL_EFORMAT_TOO_NEW || err == TL_EFORMAT_TOO_OLD)
		return EXIT_CODE_CONFIG;
	return EXIT_CODE_IO;
}
