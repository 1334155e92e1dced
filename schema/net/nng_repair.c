/*
 * nng's transports call nng_stream_send and nng_stream_recv through the dynamic linker, so what is
 * defined here stands before what libnng defines, in every program that links this file and a
 * shared libnng. (A library that contains this file must export both names.)
 *
 * A refused submission is told by its result: submitting sets 0, refusing sets NNG_ECANCELED, and
 * anything else that ends the transfer that way needs the lock that our caller holds, as does the
 * callback. So right after submitting, the result says which of the two it was.
 */
#include "schema/net/nng_repair.h"

#include <assert.h>
#include <dlfcn.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

typedef void submit(nng_stream *stream, nng_aio *aio);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static submit *send_real;
static submit *recv_real;
static atomic_ullong repair_count;

static void
find_real(void)
{
	send_real = (submit *)dlsym(RTLD_NEXT, "nng_stream_send");
	recv_real = (submit *)dlsym(RTLD_NEXT, "nng_stream_recv");
	assert(send_real != NULL);
	assert(recv_real != NULL);
}

void
tl_nng_repair_start(void)
{
	pthread_once(&once, find_real);
}

uint64_t
tl_nng_repair_count(void)
{
	return atomic_load(&repair_count);
}

/* The callback that was never scheduled. */
static void
finish_refused(nng_aio *aio)
{
	if (nng_aio_result(aio) != NNG_ECANCELED)
		return;
	atomic_fetch_add(&repair_count, 1);
	nng_aio_finish(aio, NNG_ECLOSED);
}

__attribute__((visibility("default"))) void
nng_stream_send(nng_stream *stream, nng_aio *aio)
{
	tl_nng_repair_start();
	send_real(stream, aio);
	finish_refused(aio);
}

__attribute__((visibility("default"))) void
nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
	tl_nng_repair_start();
	recv_real(stream, aio);
	finish_refused(aio);
}
