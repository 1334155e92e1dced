#!/bin/sh
# Names of the archives: what schema and libtally export begins with tl_ or tally_, what a role
# exports begins with the name of its file; and the programs that must not carry RocksDB do not.
set -eu
cd "$(dirname "$0")/.."
bad=0

exported() {
    nm --defined-only --extern-only "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u
}

# Names of nng and libc that schema/net/nng_repair.c and peers.c stand in front of.
repair='^(nng_stream_send|nng_stream_recv|sendmsg|accept|readv|shutdown)$'

for archive in base model wire net http store registry; do
    stray=$(exported "$BUILD/lib$archive.a" | grep -vE "^tl_|$repair" || true)
    [ -z "$stray" ] || { echo "lib$archive.a exports: $stray" >&2; bad=1; }
done
if exported "$BUILD/libtally.a" | grep -E '^(accept|readv|shutdown)$'; then
    echo "libtally.a takes names of the C library away from a gateway" >&2
    bad=1
fi
for program in tally tally-http; do
    if ldd "$BUILD/$program" | grep -q rocksdb; then
        echo "$program links RocksDB" >&2
        bad=1
    fi
done
if ldd "$BUILD/tallyd" | grep -q microhttpd; then
    echo "tallyd links an HTTP server" >&2
    bad=1
fi
[ "$bad" -eq 0 ] && echo "symbols: every exported name says where it lives"
exit "$bad"
