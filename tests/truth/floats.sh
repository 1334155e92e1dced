#!/bin/sh
# No floating point between the wire and the reply (RELIABILITY T5e): neither the words in the source
# of what money goes through, nor the instructions in its objects. Moves through xmm registers are
# how compilers copy and clear memory; arithmetic and conversions are what is looked for. The reader
# of tokens may widen a float to a double, since a refusal shows what was sent; nothing else may.
set -eu
cd "$(dirname "$0")/../.."
bad=0

carries='^schema/wire/(json|token|reader|pack)\.'

money_sources() {
    ls schema/model/*.[ch] schema/store/*.[ch] schema/wire/*.[ch] schema/registry/*.[ch] \
        ingest/*.[ch] rollup/*.[ch] query/*.[ch]
}

# Comments may speak of floats.
words=$(for file in $(money_sources | grep -vE "$carries"); do
    gcc -fpreprocessed -dD -E -P -I. "$file" 2>/dev/null |
        grep -nwE 'float|double|strtod|atof|lround|llround|pow' | sed "s|^|$file: |" || true
done)
[ -z "$words" ] || { echo "$words"; echo "  ^ floating point in the source" >&2; bad=1; }

arithmetic='(add|sub|mul|div|sqrt|min|max|round|cvt|cvtt|ucomi|comi)[a-z0-9]*(ss|sd|ps|pd|ss2si|sd2si|si2ss|si2sd|sd2ss|ss2sd|dq2ps|dq2pd)'
x87='f(ld|st|add|sub|mul|div|ild|ist|com|abs|chs|sqrt)[a-z0-9]*'
objects=0
for source in $(money_sources | grep '\.c$' | grep -v '^schema/wire/json'); do
    widen=$(echo "$source" | sed -n 's|^schema/wire/.*|cvtss2sd|p')
    object=$BUILD/${source%.c}.o
    [ -f "$object" ] || { echo "no object of $source" >&2; bad=1; continue; }
    objects=$((objects + 1))
    found=$(objdump -d --no-show-raw-insn "$object" |
        awk -v pattern="^v?($arithmetic|$x87)\$" -v widen="$widen" '
            /^[0-9a-f]+ </ { name = $2 }
            $2 ~ pattern && $2 != widen { print name, $0 }')
    [ -z "$found" ] || { echo "$found" | sed "s|^|$source: |"; bad=1; }
done
[ "$bad" -eq 0 ] && echo "floats: 0 floating point instructions in $objects objects"
exit "$bad"
