#!/bin/sh
# The layers of STYLE, checked on every #include: who may use whom, and the one place a package has.
set -eu
cd "$(dirname "$0")/.."
bad=0

# forbid FOLDER PATTERN: no file under FOLDER may include PATTERN.
forbid() {
    if grep -rnE "#include [<\"]$2" --include='*.[ch]' "$1"; then
        echo "  ^ not allowed in $1" >&2
        bad=1
    fi
}

# only PATTERN FILE-REGEX: PATTERN is included nowhere but in files that match.
only() {
    if grep -rlE "#include [<\"]$1" --include='*.[ch]' schema ingest rollup query deploy |
        grep -vE "$2"; then
        echo "  ^ includes $1, which stops in $2" >&2
        bad=1
    fi
}

forbid schema/base 'schema/(model|wire|net|store|registry)/'
forbid schema/model 'schema/(wire|net|store|registry)/'
forbid schema/wire 'schema/(net|store|registry)/'
forbid schema/net 'schema/(store|registry)/'
forbid schema/store 'schema/(wire|net|registry)/'
forbid schema/registry 'schema/(wire|net)/'
forbid schema '(ingest|rollup|query|deploy)/'
forbid ingest '(rollup|query|deploy)/'
forbid rollup '(ingest|query|deploy)/'
forbid query '(ingest|rollup|deploy)/'
forbid ingest/client 'schema/(store|registry)/'
forbid deploy/cmd 'schema/(store|registry)/'
forbid ingest/api 'schema/(store|registry)/'
forbid ingest/otlp 'schema/(net|store|registry)/'
forbid ingest/mcp 'schema/(net|store|registry)/'
forbid query/api 'schema/(store|registry)/'
for folder in schema ingest rollup query deploy; do
    forbid "$folder" '(tests|bench)/'
done

only 'nng/' '^schema/net/'
only 'rocksdb/' '^schema/store/'
only 'msgpack' '^schema/wire/'
only 'zlib\.h' '^schema/(wire/frame|net/http_body)'
only 'microhttpd' '^schema/net/http_private\.h'
only 'protobuf-c|ingest/otlp/otlp\.pb-c' '^ingest/otlp/otlp_pb\.c'
only 'jansson' '^schema/wire/json'
only 'sodium' '^schema/base/crypt'
only 'xxh' '^schema/base/crypt'
only 'roaring' '^schema/base/idset'
only 'ini\.h' '^schema/base/conf'

# never PATTERN: a call that loses data; schema/README.md 3.12 says what instead.
never() {
    if grep -rnE "$1" --include='*.[ch]' schema ingest rollup query deploy; then
        echo "  ^ must not be called" >&2
        bad=1
    fi
}

never 'rocksdb_flush(_cfs?)?\('
never 'rocksdb_writeoptions_disable_WAL|disableWAL'
never 'rocksdb_(open_as_secondary|merge)'

[ "$bad" -eq 0 ] && echo "includes: every layer keeps to what is below it"
exit "$bad"
