/*
 * tallyd accept-loss: the only way past acked_data_missing. Says what is missing, records it, and
 * gives the store a new epoch, so that gateways send again what they kept.
 */
#ifndef DEPLOY_ACCEPT_H
#define DEPLOY_ACCEPT_H

#include "schema/base/err.h"

/*
 * have_text is the number of events that are left, as the refused start and this print it: whoever
 * gives it has read what will be given up. The directory is locked by the caller.
 */
TL_MUST enum tl_err accept_loss(
	const char *data_dir, const char *mark_path, const char *have_text, struct tl_why *why);

#endif
