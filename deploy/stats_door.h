/*
 * A socket of tallyd that tells the daemon's own figures to whoever may open it (ipc, mode 0600)
 * and does nothing else: what serves /metrics needs no operator's rights.
 */
#ifndef DEPLOY_STATS_DOOR_H
#define DEPLOY_STATS_DOOR_H

#include "deploy/orders.h"

struct stats_door;

/* Every message to url is answered with the reply of the order "stats". */
TL_MUST enum tl_err stats_door_open(
	const char *url, struct orders *orders, struct stats_door **door_out, struct tl_why *why);

/* Before the orders end. NULL is fine. */
void stats_door_close(struct stats_door *door);

#endif
