#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh UNIT USER LIBRARY PACKAGES FILE... : prints what the role must know of the host, as lines of a name, a tab and a value.
# Reads only.
set -eu
unit=$1 user=$2 library=$3 packages=$4
shift 4
say() { printf '%s\t%s\n' "$1" "$2"; }

# shellcheck source=/dev/null
. /etc/os-release
say distribution "$ID"
say release "${VERSION_ID:-}"
if getent passwd "$user" >/dev/null; then say user there; fi
systemctl show --property=ActiveState,UnitFileState,NeedDaemonReload,ActiveEnterTimestamp --timestamp=unix "$unit" | sed 's/=@\{0,1\}/\t/'
# Words, not one word; and dpkg ends with 1 when it does not know a package.
# shellcheck disable=SC2086
dpkg-query --show --showformat='package:${Package}\t${db:Status-Status}\n' $packages 2>/dev/null || true

newest=0
if [ -d "$library" ]; then
    # One sum for the whole tree: of the files' sums and names, sorted by name.
    tree=$(cd "$library" && find . -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0r sha1sum | sha1sum)
    say tree "${tree%% *}"
    newest=$(stat --format=%Y "$library")
fi
for file; do
    folder=${file%/*}
    if [ -d "$folder" ]; then say "folder:$folder" there; fi
    if [ -f "$file" ]; then
        sum=$(sha1sum <"$file")
        say "file:$file" "${sum%% *} $(stat --dereference --format='%a %U' "$file")"
        changed=$(stat --dereference --format=%Y "$file")
        if [ "$changed" -gt "$newest" ]; then newest=$changed; fi
    fi
done
say newest "$newest"
