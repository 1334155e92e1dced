/*
 * Where an org stands, for who wants to hear of changes: digests of the generation of its figures
 * (usage) and of its people and settings (team), which say nothing of any other org's traffic. The
 * same question again has the same digests until that org changed.
 */
#include "query/kept.h"
#include "query/reply.h"

static void
put_digest(struct query_job *job, struct tl_pack_open *map, const char *key, struct tl_slice of)
{
	char digest[KEPT_DIGEST_BYTES];

	kept_digest(job->scene, key, of, digest);
	tl_pack_key_str(job->reply, map, key, digest);
}

static void
put_generation(
	struct query_job *job, struct tl_pack_open *map, const char *key, uint64_t generation)
{
	uint8_t bytes[8];

	tl_put_be64(bytes, generation);
	put_digest(job, map, key, tl_slice_of(bytes, sizeof(bytes)));
}

/* A person with several tokens is one user; a service is its token. */
static void
put_user(struct query_job *job, struct tl_pack_open *map)
{
	const struct tl_caller *caller = &job->scene->caller;

	if (caller->member_no != 0)
		put_generation(job, map, "user", caller->member_no);
	else
		put_digest(job, map, "user", tl_slice_str(caller->key_id));
}

enum tl_err
live_run(struct query_job *job, struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	struct tl_pack_open map;

	if (scene->org == NULL)
		return tl_fail(why, TL_EBAD_PARAM, "org: name the org");
	map = reply_open(job);
	tl_pack_key_int(job->reply, &map, "as_of_ms", scene->now_ms);
	tl_pack_key_int(job->reply, &map, "seq", (int64_t)tl_view_seq(scene->view));
	put_generation(job, &map, "usage", tl_view_org_generation(scene->view, scene->org->no));
	put_generation(job, &map, "team", scene->org->generation);
	put_digest(job, &map, "org", tl_slice_str(""));
	put_user(job, &map);
	return reply_close(job, &map, why);
}
