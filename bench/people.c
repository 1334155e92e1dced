/*
 * A child asks the daemon, many commands at a time, and writes what it is told: a line with the
 * token of a gateway for all orgs, then a line for each key.
 */
#include "bench/people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "schema/net/req_client.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define ANSWER_MS 60000
#define OUTSTANDING 32u

struct asking {
	struct tl_req_client *client;
	struct tl_req_call *calls[OUTSTANDING];
	struct tl_buf request, reply;
	FILE *file;
};

void
people_org_name(uint32_t org, char name_out[PEOPLE_ORG_BYTES])
{
	if (org == 0)
		snprintf(name_out, PEOPLE_ORG_BYTES, "%s", SCRATCH_ORG);
	else
		snprintf(name_out, PEOPLE_ORG_BYTES, "org-%03u", org + 1);
}

static struct tl_pack_open
begin(struct asking *asking, const char *op)
{
	struct tl_pack_open map;

	tl_buf_reset(&asking->request);
	map = tl_pack_open_map(&asking->request);
	tl_pack_key_int(&asking->request, &map, "v", 1);
	tl_pack_key_str(&asking->request, &map, "op", op);
	return map;
}

static void
check_reply(const struct asking *asking)
{
	struct tl_why why = {0};

	if (tl_frame_reply_status(tl_buf_slice(&asking->reply), &why))
		measure_die("a command was refused: %s", why.text);
}

static void
ask(struct asking *asking, struct tl_pack_open *map)
{
	struct tl_why why;

	tl_pack_close(&asking->request, map);
	tl_buf_reset(&asking->reply);
	if (tl_req_client_call(asking->client, tl_buf_slice(&asking->request), ANSWER_MS,
		    &asking->reply, &why))
		measure_die("ask tallyd: %s", why.text);
	check_reply(asking);
}

static void
make_orgs(struct asking *asking, uint32_t count)
{
	struct tl_pack_open map;
	char name[PEOPLE_ORG_BYTES];

	for (uint32_t org = 1; org < count; org++) { /* the first is there */
		map = begin(asking, "org_create");
		people_org_name(org, name);
		tl_pack_key_str(&asking->request, &map, "name", name);
		tl_pack_key_str(&asking->request, &map, "tz", "Europe/Berlin");
		ask(asking, &map);
	}
}

static void
make_token(struct asking *asking)
{
	struct tl_pack_open map = begin(asking, "token_create");
	struct tl_slice token;

	tl_pack_key_str(&asking->request, &map, "type", "gateway");
	tl_pack_key_str(&asking->request, &map, "name", "bench");
	tl_pack_key_bool(&asking->request, &map, "all_orgs", true);
	ask(asking, &map);
	token = tl_reader_find_str(tl_buf_slice(&asking->reply), "token");
	fprintf(asking->file, "%.*s\n", (int)token.bytes, (const char *)token.data);
}

static void
finish_agent(struct asking *asking, uint32_t slot)
{
	struct tl_slice key;
	struct tl_why why;

	if (asking->calls[slot] == NULL)
		return;
	tl_buf_reset(&asking->reply);
	if (tl_req_call_finish(asking->calls[slot], ANSWER_MS, &asking->reply, &why))
		measure_die("make an agent: %s", why.text);
	asking->calls[slot] = NULL;
	check_reply(asking);
	key = tl_reader_find_str(tl_buf_slice(&asking->reply), "agent_id");
	fprintf(asking->file, "%.*s\n", (int)key.bytes, (const char *)key.data);
}

static void
start_agent(struct asking *asking, const struct workload *workload, uint32_t no, uint32_t slot)
{
	struct tl_pack_open map = begin(asking, "agent_create");
	uint32_t member = no / WORKLOAD_AGENTS;
	char name[PEOPLE_ORG_BYTES], email[40];
	struct tl_why why;

	people_org_name(workload_org_of(workload, member), name);
	snprintf(email, sizeof(email), "member-%05u@bench.test", member);
	tl_pack_key_str(&asking->request, &map, "org", name);
	tl_pack_key_str(&asking->request, &map, "email", email);
	tl_pack_key_str(&asking->request, &map, "type", workload_agent_name(no % WORKLOAD_AGENTS));
	tl_pack_close(&asking->request, &map);
	if (tl_req_call_start(
		    asking->client, tl_buf_slice(&asking->request), &asking->calls[slot], &why))
		measure_die("make an agent: %s", why.text);
}

static void
make_agents(struct asking *asking, const struct workload *workload, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		finish_agent(asking, i % OUTSTANDING);
		start_agent(asking, workload, i, i % OUTSTANDING);
	}
	for (uint32_t i = 0; i < OUTSTANDING; i++)
		finish_agent(asking, (count + i) % OUTSTANDING);
}

static int
child_main(const struct scratch *scratch, const struct workload *workload, const char *path)
{
	struct asking asking = {.file = fopen(path, "w")};
	struct workload_figures figures;
	char url[SCRATCH_URL_BYTES];
	struct tl_why why;

	if (asking.file == NULL)
		measure_die("open %s: %m", path);
	workload_figures(workload, &figures);
	tl_buf_init(&asking.request, 0);
	tl_buf_init(&asking.reply, 0);
	scratch_url(scratch, SCRATCH_CONTROL, url);
	if (tl_req_client_open(url, &asking.client, &why))
		measure_die("%s", why.text);
	make_orgs(&asking, workload_org_of(workload, figures.member_count - 1) + 1);
	make_token(&asking);
	make_agents(&asking, workload, figures.member_count * WORKLOAD_AGENTS);
	if (fclose(asking.file) != 0)
		measure_die("write %s: %m", path);
	return 0;
}

static void
keys_path(const char *dir, char path[TL_CONF_STRING_BYTES + 8])
{
	snprintf(path, TL_CONF_STRING_BYTES + 8, "%s.keys", dir);
}

void
people_make(const struct scratch *scratch, const struct workload *workload)
{
	char path[TL_CONF_STRING_BYTES + 8];
	int status;
	pid_t pid;

	keys_path(scratch->dir, path);
	pid = scratch_fork();
	if (pid == 0)
		_exit(child_main(scratch, workload, path));
	if (waitpid(pid, &status, 0) != pid || status != 0)
		measure_die("making orgs and agents failed; see %s.log", scratch->dir);
}

/* A line without its end; false at the end of the file. */
static bool
read_line(FILE *file, char *line, int room)
{
	if (fgets(line, room, file) == NULL)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

void
people_load(const char *dir, struct workload_keys *keys_out)
{
	char path[TL_CONF_STRING_BYTES + 8], line[WORKLOAD_KEY_BYTES];
	struct workload_keys keys = {.count = 0};
	uint32_t capacity = 0;
	FILE *file;

	keys_path(dir, path);
	file = fopen(path, "r");
	if (file == NULL || !read_line(file, keys.token, sizeof(keys.token)))
		measure_die("read %s: %m; run ingest_bench first", path);
	while (read_line(file, line, sizeof(line))) {
		if (keys.count == capacity) {
			capacity = capacity * 2 + 4096;
			keys.key = realloc(keys.key, capacity * sizeof(*keys.key));
			if (keys.key == NULL)
				measure_die("no memory for keys");
		}
		memcpy(keys.key[keys.count++], line, sizeof(line));
	}
	fclose(file);
	*keys_out = keys;
}

void
people_fini(struct workload_keys *keys)
{
	free(keys->key);
	*keys = (struct workload_keys){.count = 0};
}
