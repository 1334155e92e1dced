/* For tests of the registry: a store in a folder of its own, and the edit under way. */
#ifndef TESTS_UNIT_REGISTRY_PLACE_H
#define TESTS_UNIT_REGISTRY_PLACE_H

#include <stdio.h>
#include <stdlib.h>

#include "schema/registry/registry.h"

struct registry_place {
	char dir[32];
	struct tl_store *store;
	struct tl_roster *roster;
	struct tl_write *write;
	struct tl_edit *edit; /* NULL between edits */
};

static void
place_open(struct registry_place *place)
{
	struct tl_store_options options = {.create = true, .dir = place->dir};

	strcpy(place->dir, "/tmp/registry.XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	assert_int_equal(tl_store_open(&options, &place->store, NULL), TL_OK);
	assert_int_equal(tl_write_new(place->store, &place->write), TL_OK);
	assert_int_equal(tl_roster_open(place->store, &place->roster, NULL), TL_OK);
}

static void
place_close(struct registry_place *place)
{
	char command[64];

	tl_edit_discard(place->edit);
	tl_roster_free(place->roster);
	tl_write_free(place->write);
	tl_store_close(place->store);
	snprintf(command, sizeof(command), "rm -rf %s", place->dir);
	assert_int_equal(system(command), 0);
}

static void
place_begin(struct registry_place *place)
{
	assert_int_equal(tl_edit_begin(place->roster, place->write, &place->edit), TL_OK);
}

static void
place_commit(struct registry_place *place)
{
	assert_int_equal(tl_write_commit(place->write, TL_SYNC, NULL), TL_OK);
	tl_edit_publish(place->edit);
	place->edit = NULL;
}

/* An org in the zone UTC. */
static uint32_t
place_put_org(struct registry_place *place, const char *name, int64_t created_ms)
{
	struct tl_org org = {.name = name, .created_ms = created_ms};
	uint32_t no = 0;

	assert_int_equal(tl_zone_get(tl_slice_str("UTC"), &org.zone, NULL), TL_OK);
	assert_int_equal(tl_edit_put_org(place->edit, &org, &no), TL_OK);
	return no;
}

#endif
