#!/bin/sh
# embed.sh DIST OUT.S: the files of a built dashboard as the table that assets.h declares, gzipped
# once. A DIST that does not exist gives an empty table.
set -eu
dist=$1
out=$2
streams=$(dirname "$out")/streams
rm -rf "$streams"
mkdir -p "$streams"

type_of() {
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.svg) echo 'image/svg+xml' ;;
    *) echo "embed.sh: no type is known for $1" >&2 && exit 65 ;;
    esac
}

lines=
count=0
{
    echo '	.section .rodata'
    [ ! -d "$dist" ] || for file in $(cd "$dist" && find . -type f | LC_ALL=C sort); do
        path=${file#.}
        immutable=0
        case $path in /assets/*) immutable=1 ;; esac
        gzip -9nc "$dist/$path" >"$streams/$count.gz"
        type=$(type_of "$path")
        hash=$(sha256sum <"$dist/$path" | cut -c1-16)
        printf 'path_%d: .asciz "%s"\n' $count "$path"
        printf 'type_%d: .asciz "%s"\n' $count "$type"
        printf 'etag_%d: .asciz "W/\\"%s\\""\n' $count "$hash"
        printf 'stream_%d: .incbin "%s"\nend_%d:\n' $count "$streams/$count.gz" $count
        lines="$lines	.quad path_$count, type_$count, etag_$count, stream_$count, end_$count - stream_$count, $immutable
"
        count=$((count + 1))
    done
    echo '	.section .data.rel.ro, "aw"'
    echo '	.balign 8'
    echo '	.globl assets_table, assets_count'
    echo 'assets_table:'
    printf '%s' "$lines"
    echo 'assets_count:'
    echo "	.quad $count"
    echo '	.section .note.GNU-stack, "", %progbits'
} >"$out"
