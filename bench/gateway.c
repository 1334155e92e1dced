/*
 * A gateway sends its share in order of arrival and takes the answers in the order it sent: acks
 * leave the daemon a group at a time, so waiting for the oldest costs little.
 */
#include "bench/gateway.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/scratch.h"
#include "schema/net/req_client.h"
#include "schema/wire/event_wire.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define ANSWER_MS 60000
#define REFUSED_US 1000
#define POLL_US 500
#define PROCESSES_MAX 64

/* A request under way. */
struct slot {
	struct tl_req_call *call; /* NULL: free */
	const struct workload_batch *batch;
};

struct gateway {
	const struct gateway_plan *plan;
	struct tl_req_client **clients;
	struct slot *slots;
	uint32_t slot_count;
	struct tl_buf reply;
	int64_t seq; /* the highest acknowledged */
	struct gateway_result result;
};

void
gateway_put_health(struct tl_buf *buf)
{
	tl_pack_map(buf, 2);
	tl_pack_str(buf, "v");
	tl_pack_int(buf, 1);
	tl_pack_str(buf, "op");
	tl_pack_str(buf, "health");
}

static void
slot_send(struct gateway *gateway, uint32_t slot_idx)
{
	struct slot *slot = &gateway->slots[slot_idx];
	struct tl_why why;

	if (tl_req_call_start(gateway->clients[slot_idx % gateway->plan->connection_count],
		    slot->batch->bytes, &slot->call, &why))
		measure_die("send a batch: %s", why.text);
}

/* True when the batch was taken; otherwise it must be sent again. */
static bool
answer_read(struct gateway *gateway)
{
	struct tl_batch_result answer;
	struct tl_why why = {0};
	enum tl_err err = tl_batch_answer_read(tl_buf_slice(&gateway->reply), &answer, &why);

	if (err && (tl_err_retry(err) == TL_RETRY_AFTER || tl_err_retry(err) == TL_RETRY_SAME))
		return false;
	if (err)
		measure_die("a batch was refused: %s: %s", tl_err_name(err), why.text);
	gateway->result.accepted += answer.accepted;
	gateway->result.duplicate += answer.duplicate;
	gateway->result.rejected += answer.rejected;
	if ((int64_t)answer.seq > gateway->seq)
		gateway->seq = (int64_t)answer.seq;
	return true;
}

static void
slot_finish(struct gateway *gateway, uint32_t slot_idx)
{
	struct slot *slot = &gateway->slots[slot_idx];
	struct tl_why why;

	while (slot->call != NULL) {
		tl_buf_reset(&gateway->reply);
		if (tl_req_call_finish(slot->call, ANSWER_MS, &gateway->reply, &why))
			measure_die("no answer to a batch: %s", why.text);
		slot->call = NULL;
		if (answer_read(gateway))
			return;
		gateway->result.resent_batches++;
		usleep(REFUSED_US);
		slot_send(gateway, slot_idx);
	}
}

static int64_t
ask_seq(struct gateway *gateway, struct tl_req_client *client, struct tl_slice request)
{
	struct tl_why why;

	tl_buf_reset(&gateway->reply);
	if (tl_req_client_call(client, request, ANSWER_MS, &gateway->reply, &why))
		measure_die("health: %s", why.text);
	if (tl_frame_reply_status(tl_buf_slice(&gateway->reply), &why))
		measure_die("health: %s", why.text);
	return tl_reader_find_int(tl_buf_slice(&gateway->reply), "seq", -1);
}

/* Any answer shows that the connection stands; nng dials in the background. */
static void
connect_all(struct gateway *gateway)
{
	static const uint8_t not_a_map[] = {0xc0};
	struct tl_why why;

	for (uint32_t i = 0; i < gateway->plan->connection_count; i++) {
		if (tl_req_client_open(gateway->plan->ingest_url, &gateway->clients[i], &why))
			measure_die("%s", why.text);
		tl_buf_reset(&gateway->reply);
		if (tl_req_client_call(gateway->clients[i],
			    tl_slice_of(not_a_map, sizeof(not_a_map)), ANSWER_MS, &gateway->reply,
			    &why))
			measure_die("connect: %s", why.text);
	}
}

static void
push_share(struct gateway *gateway, uint32_t process_idx)
{
	const struct workload_batches *batches = gateway->plan->batches;
	uint32_t sent = 0;

	for (uint32_t i = process_idx; i < batches->count; i += gateway->plan->process_count) {
		uint32_t slot_idx = sent++ % gateway->slot_count;

		slot_finish(gateway, slot_idx);
		gateway->slots[slot_idx].batch = &batches->batch[i];
		slot_send(gateway, slot_idx);
	}
	for (uint32_t i = 0; i < gateway->slot_count; i++)
		slot_finish(gateway, (sent + i) % gateway->slot_count);
}

static void
wait_go(int ready, int go)
{
	char byte = 0;

	if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 0)
		measure_die("a gateway lost its parent");
}

static int
gateway_main(const struct gateway_plan *plan, uint32_t process_idx, int ready, int go, int done)
{
	struct gateway gateway = {.plan = plan};
	struct tl_req_client *query = NULL;
	struct tl_buf health;
	struct tl_why why;
	int64_t cpu_ns;

	gateway.slot_count = plan->connection_count * plan->outstanding_count;
	gateway.slots = calloc(gateway.slot_count, sizeof(*gateway.slots));
	gateway.clients = calloc(plan->connection_count, sizeof(*gateway.clients));
	if (gateway.slots == NULL || gateway.clients == NULL)
		measure_die("no memory for a gateway");
	tl_buf_init(&gateway.reply, 0);
	tl_buf_init(&health, 0);
	gateway_put_health(&health);
	connect_all(&gateway);
	if (plan->query_url != NULL && tl_req_client_open(plan->query_url, &query, &why))
		measure_die("%s", why.text);
	if (query != NULL)
		ask_seq(&gateway, query, tl_buf_slice(&health));

	wait_go(ready, go);
	cpu_ns = measure_cpu_ns(getpid());
	push_share(&gateway, process_idx);
	gateway.result.acked_ns = measure_now_ns();
	while (query != NULL && ask_seq(&gateway, query, tl_buf_slice(&health)) < gateway.seq)
		usleep(POLL_US);
	gateway.result.visible_ns = measure_now_ns();
	gateway.result.client_cpu_ns = measure_cpu_ns(getpid()) - cpu_ns;
	if (write(done, &gateway.result, sizeof(gateway.result)) != sizeof(gateway.result))
		measure_die("a gateway lost its parent");
	return 0;
}

struct crowd {
	pid_t pids[PROCESSES_MAX];
	int ready[2], go[2], done[2];
};

static void
crowd_start(const struct gateway_plan *plan, struct crowd *crowd)
{
	char byte;

	if (plan->process_count > PROCESSES_MAX || pipe(crowd->ready) != 0 ||
		pipe(crowd->go) != 0 || pipe(crowd->done) != 0)
		measure_die("too many gateways");
	for (uint32_t i = 0; i < plan->process_count; i++) {
		crowd->pids[i] = scratch_fork();
		if (crowd->pids[i] != 0)
			continue;
		close(crowd->go[1]);
		_exit(gateway_main(plan, i, crowd->ready[1], crowd->go[0], crowd->done[1]));
	}
	close(crowd->ready[1]);
	close(crowd->done[1]);
	close(crowd->go[0]);
	for (uint32_t i = 0; i < plan->process_count; i++) {
		if (read(crowd->ready[0], &byte, 1) != 1)
			measure_die("a gateway did not connect");
	}
}

static void
add_result(struct gateway_result *sum, const struct gateway_result *part, int64_t begun_ns)
{
	int64_t acked_ns = part->acked_ns - begun_ns, visible_ns = part->visible_ns - begun_ns;

	sum->acked_ns = acked_ns > sum->acked_ns ? acked_ns : sum->acked_ns;
	sum->visible_ns = visible_ns > sum->visible_ns ? visible_ns : sum->visible_ns;
	sum->client_cpu_ns += part->client_cpu_ns;
	sum->accepted += part->accepted;
	sum->duplicate += part->duplicate;
	sum->rejected += part->rejected;
	sum->resent_batches += part->resent_batches;
}

void
gateway_run(const struct gateway_plan *plan, struct gateway_result *result_out)
{
	struct gateway_result sum = {0}, part;
	struct crowd crowd;
	int64_t begun_ns, cpu_ns;

	crowd_start(plan, &crowd);
	cpu_ns = measure_cpu_ns(plan->server);
	begun_ns = measure_now_ns();
	close(crowd.go[1]); /* what they wait for */
	for (uint32_t i = 0; i < plan->process_count; i++) {
		if (read(crowd.done[0], &part, sizeof(part)) != sizeof(part))
			measure_die("a gateway did not finish");
		add_result(&sum, &part, begun_ns);
	}
	sum.server_cpu_ns = measure_cpu_ns(plan->server) - cpu_ns;
	for (uint32_t i = 0; i < plan->process_count; i++)
		waitpid(crowd.pids[i], NULL, 0);
	close(crowd.ready[0]);
	close(crowd.done[0]);
	*result_out = sum;
}
