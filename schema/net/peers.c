/*
 * libnng calls accept, readv and shutdown through the dynamic linker, so what is defined here
 * stands before the C library's, as in nng_repair. That shows all there is to know of a connection:
 *
 *	accept    it begins; refused here, nng never hears of it (it passes over ECONNABORTED)
 *	readv     bytes of the greeting and of frames: nng reads a head or a body, never across
 *	sendmsg   bytes of replies (told by nng_repair, which stands before that one)
 *	shutdown  it ends: nng does this once to every connection, before it closes the descriptor
 *
 * To close a connection is to shut its socket down: nng reads the end and clears up on its own
 * threads. The mutex is taken before that and by nng's shutdown, so a descriptor that is still in
 * the list is open. Nothing of nng is called with the mutex held: nng's locks come first.
 *
 * A flood must not keep an honest peer out. So a full house closes whoever has been longest without
 * a whole frame, those that never sent one first, and refuses the newcomer only when all work.
 */
#include "schema/net/peers.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/base/daemon.h"
#include "schema/net/inflow.h"
#include "schema/net/nng_repair.h"

/* Descriptors for everything else: RocksDB's files, listeners, logs. */
#define FILES_OTHER 1024
#define FILES_MAX 65536u

/* What nng sends of itself on each connection. */
#define GREETING_BYTES 8u

#define SWEEP_MS 250

/*
 * Free memory at the end of the heap that is not given back: buffers of groups and frames come and
 * go many times a second, and a page that comes back costs more than to fill it.
 */
#define HEAP_KEPT_BYTES (64 << 20)

/* One that sent a whole frame has this long to send the next before a newcomer may have its place.
 */
#define ROOM_IDLE_MS 10000

/* A peer that is owed less is not the one to blame when all together are owed too much. */
#define UNREAD_BYTES_FREE 65536u

enum peer_state {
	PEER_NONE,
	PEER_OPEN,
	PEER_SHUT, /* by us; nng has not ended it yet */
};

struct peer {
	/* guarded by mtx; state is also read without */
	_Atomic int state;
	uint32_t place; /* in open_fds */
	uint32_t pipe;	/* 0: not known yet */
	struct sockaddr_storage from;
	int64_t pid; /* over ipc */
	int64_t accepted_ms;
	uint64_t owed_bytes;
	int64_t owed_ms;

	struct tl_inflow in;

	/* written by whoever sends on it, one at a time */
	_Atomic uint64_t sent_bytes;
	_Atomic int64_t sent_ms;
};

typedef int accept_call(int, struct sockaddr *restrict, socklen_t *restrict);
typedef ssize_t readv_call(int, const struct iovec *, int);
typedef int shutdown_call(int, int);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static accept_call *accept_real;
static readv_call *readv_real;
static shutdown_call *shutdown_real;

static struct {
	/* fixed after start */
	struct peer *peers; /* by descriptor */
	uint32_t peer_capacity;
	pthread_t sweeper;

	_Atomic bool is_on;
	_Atomic int64_t partial_bytes_max;
	_Atomic int64_t partial_bytes; /* as of the last sweep, and what came since */
	_Atomic uint64_t ended[TL_PEER_END_COUNT];

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t stop;
	bool stops;
	struct tl_peers_limits limits;
	int *open_fds; /* of those in PEER_OPEN, in no order */
	uint32_t open_count;
	uint32_t shut_count;
	uint64_t unread_bytes; /* as of the last sweep, and what was owed since */
} house = {.mtx = PTHREAD_MUTEX_INITIALIZER};

static void
find_real(void)
{
	accept_real = (accept_call *)dlsym(RTLD_NEXT, "accept");
	readv_real = (readv_call *)dlsym(RTLD_NEXT, "readv");
	shutdown_real = (shutdown_call *)dlsym(RTLD_NEXT, "shutdown");
	assert(accept_real != NULL);
	assert(readv_real != NULL);
	assert(shutdown_real != NULL);
}

static int64_t
now_ms(void)
{
	return tl_clock_mono_us() / 1000;
}

const char *
tl_peer_end_name(enum tl_peer_end end)
{
	static const char *const names[TL_PEER_END_COUNT] = {
		[TL_PEER_COUNT_FULL] = "count_full",
		[TL_PEER_ADDRESS_FULL] = "address_full",
		[TL_PEER_MADE_ROOM] = "made_room",
		[TL_PEER_NO_GREETING] = "no_greeting",
		[TL_PEER_WRONG_GREETING] = "wrong_greeting",
		[TL_PEER_TOO_LONG] = "too_long",
		[TL_PEER_HALF_SENT] = "half_sent",
		[TL_PEER_PARTIAL_FULL] = "partial_full",
		[TL_PEER_IDLE] = "idle",
		[TL_PEER_UNREAD] = "unread",
	};

	assert(end < TL_PEER_END_COUNT);
	return names[end];
}

static void
ended_count(enum tl_peer_end end)
{
	atomic_fetch_add(&house.ended[end], 1);
}

/* The peer behind a descriptor, NULL for all others. */
static struct peer *
peer_of(int fd)
{
	struct peer *peer;

	if (!atomic_load(&house.is_on) || fd < 0 || (uint32_t)fd >= house.peer_capacity)
		return NULL;
	peer = &house.peers[fd];
	return atomic_load(&peer->state) != PEER_NONE ? peer : NULL;
}

static bool
is_ipc(const struct peer *peer)
{
	return peer->from.ss_family == AF_UNIX;
}

static bool
is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	if (a->ss_family == AF_INET6)
		return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
			       &((const struct sockaddr_in6 *)b)->sin6_addr,
			       sizeof(struct in6_addr)) == 0;
	return false;
}

static in_port_t
port_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
					     : ((const struct sockaddr_in6 *)address)->sin6_port;
}

static uint64_t
unread_bytes_of(const struct peer *peer)
{
	uint64_t sent_bytes = atomic_load(&peer->sent_bytes);

	return peer->owed_bytes > sent_bytes ? peer->owed_bytes - sent_bytes : 0;
}

/* With mtx held: the peer is no more counted. */
static void
peer_leave(struct peer *peer, int next_state)
{
	int last_fd = house.open_fds[--house.open_count];

	assert(atomic_load(&peer->state) == PEER_OPEN);
	house.open_fds[peer->place] = last_fd;
	house.peers[last_fd].place = peer->place;
	atomic_fetch_sub(&house.partial_bytes, atomic_exchange(&peer->in.held_bytes, 0));
	atomic_store(&peer->state, next_state);
}

/* With mtx held. */
static void
peer_shut(struct peer *peer, enum tl_peer_end end)
{
	peer_leave(peer, PEER_SHUT);
	house.shut_count++;
	ended_count(end);
	shutdown_real((int)(peer - house.peers), SHUT_RDWR);
}

/* When something whole last came, or could have. */
static int64_t
heard_ms(const struct peer *peer)
{
	int64_t whole_ms = atomic_load(&peer->in.whole_ms);

	return whole_ms > 0 ? whole_ms : peer->accepted_ms;
}

/*
 * With mtx held: who makes room for a newcomer from there (NULL: from anywhere). Those that never
 * sent a whole frame go first, then the longest silent; NULL when all work.
 */
static struct peer *
room_find(const struct sockaddr_storage *from, int64_t at_ms)
{
	struct peer *found = NULL;
	bool found_is_new = false;

	for (uint32_t i = 0; i < house.open_count; i++) {
		struct peer *peer = &house.peers[house.open_fds[i]];
		bool is_new = atomic_load(&peer->in.whole_ms) == 0;

		if (from != NULL && !is_same_host(from, &peer->from))
			continue;
		if (!is_new && at_ms - heard_ms(peer) < ROOM_IDLE_MS)
			continue;
		if (found == NULL || (is_new && !found_is_new) ||
			(is_new == found_is_new && heard_ms(peer) < heard_ms(found))) {
			found = peer;
			found_is_new = is_new;
		}
	}
	return found;
}

/* With mtx held: true when there is room from there, or was made. */
static bool
room_make(const struct sockaddr_storage *from, int64_t at_ms)
{
	struct peer *peer;

	/* What was shut and nng has not ended yet still holds a descriptor. */
	if (house.shut_count > house.limits.count_max / 4)
		return false;
	peer = room_find(from, at_ms);
	if (peer == NULL)
		return false;
	peer_shut(peer, TL_PEER_MADE_ROOM);
	return true;
}

/* With mtx held. */
static int64_t
host_count(const struct sockaddr_storage *from)
{
	int64_t count = 0;

	for (uint32_t i = 0; i < house.open_count; i++)
		count += is_same_host(from, &house.peers[house.open_fds[i]].from);
	return count;
}

/* With mtx held. */
static bool
is_admitted(const struct sockaddr_storage *from, int64_t at_ms)
{
	if (host_count(from) >= house.limits.per_address_max && !room_make(from, at_ms)) {
		ended_count(TL_PEER_ADDRESS_FULL);
		return false;
	}
	if (house.open_count >= house.limits.count_max && !room_make(NULL, at_ms)) {
		ended_count(TL_PEER_COUNT_FULL);
		return false;
	}
	return true;
}

static int64_t
pid_of(int fd)
{
	struct ucred ucred = {0};
	socklen_t bytes = sizeof(ucred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &bytes) != 0)
		return 0;
	return ucred.pid;
}

/* With mtx held. */
static void
peer_enter(int fd, const struct sockaddr_storage *from, int64_t at_ms)
{
	struct peer *peer = &house.peers[fd];

	/* nng had no memory for it and closed it without a word. */
	if (atomic_load(&peer->state) == PEER_OPEN)
		peer_leave(peer, PEER_NONE);
	else if (atomic_load(&peer->state) == PEER_SHUT)
		house.shut_count--;
	*peer = (struct peer){
		.place = house.open_count,
		.from = *from,
		.pid = from->ss_family == AF_UNIX ? pid_of(fd) : 0,
		.accepted_ms = at_ms,
		.owed_bytes = GREETING_BYTES,
		.owed_ms = at_ms,
	};
	tl_inflow_init(&peer->in, is_ipc(peer));
	house.open_fds[house.open_count++] = fd;
	atomic_store(&peer->state, PEER_OPEN);
}

__attribute__((visibility("default"))) int
accept(int listener, struct sockaddr *restrict address, socklen_t *restrict address_bytes)
{
	struct sockaddr_storage from = {0};
	socklen_t from_bytes = sizeof(from);
	int64_t at_ms;
	bool admitted;
	int fd;

	pthread_once(&once, find_real);
	if (!atomic_load(&house.is_on) || address != NULL ||
		!tl_nng_is_caller(__builtin_return_address(0)))
		return accept_real(listener, address, address_bytes);
	fd = accept_real(listener, (struct sockaddr *)&from, &from_bytes);
	if (fd < 0)
		return fd;
	at_ms = now_ms();
	pthread_mutex_lock(&house.mtx);
	admitted = (uint32_t)fd < house.peer_capacity && is_admitted(&from, at_ms);
	if (admitted)
		peer_enter(fd, &from, at_ms);
	pthread_mutex_unlock(&house.mtx);
	if (admitted)
		return fd;
	close(fd);
	errno = ECONNABORTED;
	return -1;
}

/* Frames that are not whole hold more than they may: the oldest of them goes. */
static void
partial_relieve(void)
{
	struct peer *oldest = NULL;

	pthread_mutex_lock(&house.mtx);
	for (uint32_t i = 0; i < house.open_count; i++) {
		struct peer *peer = &house.peers[house.open_fds[i]];

		if (atomic_load(&peer->in.held_bytes) > 0 &&
			(oldest == NULL || atomic_load(&peer->in.begun_ms) <
						   atomic_load(&oldest->in.begun_ms)))
			oldest = peer;
	}
	if (oldest != NULL)
		peer_shut(oldest, TL_PEER_PARTIAL_FULL);
	pthread_mutex_unlock(&house.mtx);
}

static void
peer_read(struct peer *peer, const struct iovec *parts, int part_count, size_t bytes)
{
	int64_t held_bytes = atomic_load(&peer->in.held_bytes);
	int64_t at_ms = now_ms();

	for (int i = 0; i < part_count && bytes > 0; i++) {
		size_t part_bytes = parts[i].iov_len < bytes ? parts[i].iov_len : bytes;
		enum tl_inflow_fault fault =
			tl_inflow_take(&peer->in, parts[i].iov_base, part_bytes, at_ms);

		if (fault == TL_INFLOW_NO_REQ)
			ended_count(TL_PEER_WRONG_GREETING);
		if (fault == TL_INFLOW_TOO_LONG)
			ended_count(TL_PEER_TOO_LONG);
		bytes -= part_bytes;
	}
	held_bytes = atomic_load(&peer->in.held_bytes) - held_bytes;
	if (atomic_fetch_add(&house.partial_bytes, held_bytes) + held_bytes >
		atomic_load(&house.partial_bytes_max))
		partial_relieve();
}

__attribute__((visibility("default"))) ssize_t
readv(int fd, const struct iovec *parts, int part_count)
{
	struct peer *peer;
	ssize_t bytes;

	pthread_once(&once, find_real);
	bytes = readv_real(fd, parts, part_count);
	peer = bytes > 0 ? peer_of(fd) : NULL;
	if (peer != NULL && atomic_load(&peer->state) == PEER_OPEN)
		peer_read(peer, parts, part_count, (size_t)bytes);
	return bytes;
}

static void
peer_sent(int fd, size_t bytes)
{
	struct peer *peer = peer_of(fd);

	if (peer == NULL)
		return;
	atomic_fetch_add(&peer->sent_bytes, bytes);
	atomic_store(&peer->sent_ms, now_ms());
}

__attribute__((visibility("default"))) int
shutdown(int fd, int how)
{
	struct peer *peer;

	pthread_once(&once, find_real);
	peer = peer_of(fd);
	if (peer != NULL) {
		pthread_mutex_lock(&house.mtx);
		if (atomic_load(&peer->state) == PEER_OPEN)
			peer_leave(peer, PEER_NONE);
		else if (atomic_exchange(&peer->state, PEER_NONE) == PEER_SHUT)
			house.shut_count--;
		pthread_mutex_unlock(&house.mtx);
	}
	return shutdown_real(fd, how);
}

void
tl_peers_pipe_opened(uint32_t pipe, const struct sockaddr_storage *from, int64_t pid)
{
	struct peer *found = NULL;

	if (!atomic_load(&house.is_on))
		return;
	pthread_mutex_lock(&house.mtx);
	for (uint32_t i = 0; i < house.open_count; i++) {
		struct peer *peer = &house.peers[house.open_fds[i]];

		if (peer->pipe != 0 || !atomic_load(&peer->in.is_greeted))
			continue;
		if (from == NULL ? !is_ipc(peer) || peer->pid != pid
				 : !is_same_host(from, &peer->from) ||
					   port_of(from) != port_of(&peer->from))
			continue;
		/* A process with several connections over ipc: they come up in this order. */
		if (found == NULL || peer->accepted_ms < found->accepted_ms)
			found = peer;
	}
	if (found != NULL)
		found->pipe = pipe;
	pthread_mutex_unlock(&house.mtx);
}

/* With mtx held. */
static struct peer *
pipe_find(uint32_t pipe)
{
	for (uint32_t i = 0; i < house.open_count; i++) {
		struct peer *peer = &house.peers[house.open_fds[i]];

		if (peer->pipe == pipe)
			return peer;
	}
	return NULL;
}

/*
 * A reply that nng drops (it keeps 64 for a peer) stays owed. So a peer that lost one is closed in
 * the end, which tells it to send its request again.
 */
bool
tl_peers_owe(uint32_t pipe, size_t bytes)
{
	struct peer *peer;
	uint64_t unread_bytes_max;
	uint64_t unread_bytes;
	bool goes_on = true;

	if (!atomic_load(&house.is_on))
		return true;
	pthread_mutex_lock(&house.mtx);
	unread_bytes_max = (uint64_t)house.limits.unread_bytes_max;
	peer = pipe_find(pipe);
	if (peer != NULL) {
		bytes += is_ipc(peer) ? 9 : 8;
		if (unread_bytes_of(peer) == 0)
			peer->owed_ms = now_ms();
		peer->owed_bytes += bytes;
		house.unread_bytes += bytes;
		unread_bytes = unread_bytes_of(peer);
		goes_on = unread_bytes <= UNREAD_BYTES_FREE ||
			  (unread_bytes <= unread_bytes_max / 4 &&
				  house.unread_bytes <= unread_bytes_max);
		if (!goes_on)
			peer_shut(peer, TL_PEER_UNREAD);
	}
	pthread_mutex_unlock(&house.mtx);
	return goes_on;
}

/* With mtx held: true, and why, when the peer has used up its time. */
static bool
is_late(const struct peer *peer, int64_t at_ms, enum tl_peer_end *end_out)
{
	int64_t begun_ms = atomic_load(&peer->in.begun_ms);
	int64_t sent_ms = atomic_load(&peer->sent_ms);
	int64_t progress_ms = sent_ms > peer->owed_ms ? sent_ms : peer->owed_ms;

	if (!atomic_load(&peer->in.is_greeted)) {
		*end_out = TL_PEER_NO_GREETING;
		return at_ms - peer->accepted_ms > house.limits.frame_ms;
	}
	if (begun_ms > 0 && at_ms - begun_ms > house.limits.frame_ms) {
		*end_out = TL_PEER_HALF_SENT;
		return true;
	}
	if (unread_bytes_of(peer) > 0 && at_ms - progress_ms > house.limits.frame_ms) {
		*end_out = TL_PEER_UNREAD;
		return true;
	}
	*end_out = TL_PEER_IDLE;
	return begun_ms == 0 && at_ms - heard_ms(peer) > house.limits.idle_ms;
}

/* With mtx held. Backwards, as one that leaves is replaced by the last. */
static void
sweep(int64_t at_ms)
{
	uint64_t unread_bytes = 0;
	int64_t partial_bytes = 0;

	for (uint32_t i = house.open_count; i-- > 0;) {
		struct peer *peer = &house.peers[house.open_fds[i]];
		enum tl_peer_end end;

		if (is_late(peer, at_ms, &end)) {
			peer_shut(peer, end);
			continue;
		}
		unread_bytes += unread_bytes_of(peer);
		partial_bytes += atomic_load(&peer->in.held_bytes);
	}
	house.unread_bytes = unread_bytes;
	atomic_store(&house.partial_bytes, partial_bytes);
}

static void *
sweeper_run(void *arg)
{
	(void)arg;
	tl_thread_name("tl-peers");
	pthread_mutex_lock(&house.mtx);
	while (!house.stops) {
		int64_t until_ms = now_ms() + SWEEP_MS;
		struct timespec until = {
			.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

		sweep(now_ms());
		pthread_cond_timedwait(&house.stop, &house.mtx, &until);
	}
	pthread_mutex_unlock(&house.mtx);
	return NULL;
}

/* How many files this process may have open, at most as many as are kept track of. */
static uint32_t
files_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return limit.rlim_cur < FILES_MAX ? (uint32_t)limit.rlim_cur : FILES_MAX;
}

/* A quarter more than count_max may be open for a moment: shut, and not yet ended by nng. */
static int64_t
count_that_fits(int64_t count_max, uint32_t file_count)
{
	int64_t fits = file_count > 2 * FILES_OTHER ? file_count - FILES_OTHER : file_count / 2;

	fits = fits * 4 / 5;
	return count_max < fits ? count_max : fits;
}

int64_t
tl_peers_limit(const struct tl_peers_limits *limits)
{
	int64_t count_max = count_that_fits(limits->count_max, house.peer_capacity);

	pthread_mutex_lock(&house.mtx);
	house.limits = *limits;
	house.limits.count_max = count_max;
	pthread_mutex_unlock(&house.mtx);
	atomic_store(&house.partial_bytes_max, limits->partial_bytes_max);
	return count_max;
}

enum tl_err
tl_peers_start(const struct tl_peers_limits *limits, int64_t *count_max_out, struct tl_why *why)
{
	pthread_condattr_t monotonic;

	assert(!atomic_load(&house.is_on));
	pthread_once(&once, find_real);
	tl_nng_repair_start();
	mallopt(M_MMAP_THRESHOLD, TL_INFLOW_HEAP_BYTES_MAX);
	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES);
	house.peer_capacity = files_raise();
	*count_max_out = tl_peers_limit(limits);
	/* From the second start of a process on, nng may still be ending connections of the first.
	 */
	if (house.peers == NULL)
		house.peers = calloc(FILES_MAX, sizeof(*house.peers));
	if (house.open_fds == NULL)
		house.open_fds = calloc(FILES_MAX, sizeof(*house.open_fds));
	house.stops = false;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&house.stop, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (house.peers == NULL || house.open_fds == NULL ||
		pthread_create(&house.sweeper, NULL, sweeper_run, NULL) != 0) {
		return tl_fail(why, TL_ENOMEM, "no memory for the list of connections");
	}
	tl_nng_on_sent(peer_sent);
	atomic_store(&house.is_on, true);
	return TL_OK;
}

/* The table stays: nng may still be clearing up connections on its own threads. */
void
tl_peers_stop(void)
{
	if (!atomic_exchange(&house.is_on, false))
		return;
	pthread_mutex_lock(&house.mtx);
	house.stops = true;
	pthread_cond_signal(&house.stop);
	pthread_mutex_unlock(&house.mtx);
	pthread_join(house.sweeper, NULL);
}

void
tl_peers_stats(struct tl_peers_stats *stats_out)
{
	pthread_mutex_lock(&house.mtx);
	stats_out->open = house.open_count;
	stats_out->unread_bytes = house.unread_bytes;
	pthread_mutex_unlock(&house.mtx);
	stats_out->partial_bytes = (uint64_t)atomic_load(&house.partial_bytes);
	for (int end = 0; end < TL_PEER_END_COUNT; end++)
		stats_out->ended[end] = atomic_load(&house.ended[end]);
}
