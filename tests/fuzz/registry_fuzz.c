/* Registry records; the first byte says which. What decodes is written again to the same bytes. */
#include "schema/registry/registry_private.h"
#include "tests/fuzz/fuzz.h"

static void
check_org(struct tl_slice value, struct tl_buf *again)
{
	char name[TL_NAME_BYTES_MAX + 1];
	struct tl_org org;

	if (tl_org_decode(value, &org, name, NULL))
		return;
	assert(org.zone != NULL);
	tl_org_encode(&org, again);
	assert(tl_slice_eq(tl_buf_slice(again), value));
}

static void
check_member(struct tl_slice value, struct tl_buf *again)
{
	struct tl_member *member;

	if (tl_member_decode(value, &member, NULL))
		return;
	tl_member_encode(member, again);
	assert(tl_slice_eq(tl_buf_slice(again), value));
	tl_record_drop(member);
}

static void
check_agent(struct tl_slice value, struct tl_buf *again)
{
	struct tl_agent *agent;

	if (tl_agent_decode(value, &agent, NULL))
		return;
	tl_agent_encode(agent, again);
	assert(tl_slice_eq(tl_buf_slice(again), value));
	tl_record_drop(agent);
}

static void
check_credential(struct tl_slice value, struct tl_buf *again)
{
	struct tl_credential *credential;

	if (tl_credential_decode(value, &credential, NULL))
		return;
	tl_credential_encode(credential, again);
	assert(tl_slice_eq(tl_buf_slice(again), value));
	tl_record_drop(credential);
}

static void
check_signin(struct tl_slice value, struct tl_buf *again)
{
	struct tl_signin *signin;

	if (tl_signin_decode(value, &signin, NULL))
		return;
	tl_signin_encode(signin, again);
	assert(tl_slice_eq(tl_buf_slice(again), value));
	tl_record_drop(signin);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_buf again;
	struct tl_slice value;

	if (bytes == 0)
		return 0;
	value = tl_slice_of(data + 1, bytes - 1);
	tl_buf_reset(&again);
	switch (data[0] % 5) {
	case 0:
		check_org(value, &again);
		break;
	case 1:
		check_member(value, &again);
		break;
	case 2:
		check_agent(value, &again);
		break;
	case 3:
		check_credential(value, &again);
		break;
	case 4:
		check_signin(value, &again);
		break;
	}
	return 0;
}
