/* Links between sessions and repos, pull requests, commits and names, as they are stored. */
#ifndef INGEST_LINKS_H
#define INGEST_LINKS_H

#include "schema/model/event.h"

/*
 * The text values of set_repo and add_pr become REPO (a symbol) and PR, and VALUE is cleared, so
 * that stored rows hold dense ids and numbers alone. add_commit and set_name keep VALUE.
 */
TL_MUST enum tl_err links_split(struct tl_batch *batch);

#endif
