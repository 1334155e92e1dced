#!/bin/sh
# Install the Debian packages of the named sets (build, test, check) that are missing.
set -eu
cd "$(dirname "$0")"

missing=
for set in "$@"; do
    for package in $(sed -n "s/^$set //p" packages); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=$(command -v sudo) || {
        echo "these packages are missing, and there is no sudo to install them:$missing" >&2
        exit 1
    }
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086
if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "apt-get failed; the whole log is in $log" >&2
    exit 1
fi
rm -f "$log"
