/*
 * libnng calls nng_stream_send, nng_stream_recv and the C library's sendmsg through the dynamic
 * linker, so what is defined here stands before the real ones in every program that has this file
 * and a shared libnng. (A shared library that has it must export the three names.)
 */
#include "schema/net/nng_repair.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef void stream_submit(nng_stream *stream, nng_aio *aio);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static stream_submit *stream_send_real;
static stream_submit *stream_recv_real;
static atomic_ullong repair_count;
static void (*_Atomic sent_hook)(int fd, size_t bytes);

static void
find_real(void)
{
	stream_send_real = (stream_submit *)dlsym(RTLD_NEXT, "nng_stream_send");
	stream_recv_real = (stream_submit *)dlsym(RTLD_NEXT, "nng_stream_recv");
	assert(stream_send_real != NULL);
	assert(stream_recv_real != NULL);
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

/*
 * The callback that was never scheduled. A refused submission is told by its result: submitting
 * sets 0, refusing sets NNG_ECANCELED, and whatever else could end the transfer that way, the
 * callback included, needs the lock that our caller holds.
 */
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
	stream_send_real(stream, aio);
	finish_refused(aio);
}

__attribute__((visibility("default"))) void
nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
	tl_nng_repair_start();
	stream_recv_real(stream, aio);
	finish_refused(aio);
}

bool
tl_nng_is_caller(const void *code)
{
	Dl_info info;

	return dladdr(code, &info) != 0 && info.dli_fname != NULL &&
	       strstr(info.dli_fname, "libnng") != NULL;
}

void
tl_nng_on_sent(void (*on_sent)(int fd, size_t bytes))
{
	atomic_store(&sent_hook, on_sent);
}

static void
sent_tell(int fd, ssize_t sent_bytes)
{
	void (*on_sent)(int fd, size_t bytes) = atomic_load(&sent_hook);

	if (on_sent != NULL && sent_bytes > 0)
		on_sent(fd, (size_t)sent_bytes);
}

/*
 * For nng alone a peer that is gone is a connection reset, which it takes for what it is. The
 * system is called directly, as the C library's function does: under the thread sanitizer that one
 * compares every word of a message with what another thread did to it where the sanitizer did not
 * look.
 */
__attribute__((visibility("default"))) ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t sent_bytes;

	sent_bytes = syscall(SYS_sendmsg, fd, message, flags);
	sent_tell(fd, sent_bytes);
	if (sent_bytes >= 0 || errno != EPIPE)
		return sent_bytes;
	if (tl_nng_is_caller(__builtin_return_address(0))) {
		atomic_fetch_add(&repair_count, 1);
		errno = ECONNRESET;
	} else {
		errno = EPIPE; /* dladdr may have changed it */
	}
	return sent_bytes;
}
