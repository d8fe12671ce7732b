#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh OWNER FOLDER FILE... : prints what the role must know of the host, as lines of a name, a tab and a value. Reads only.
set -eu
owner=$1 folder=$2
shift 2
say() { printf '%s\t%s\n' "$1" "$2"; }

say hostname "$(uname -n)"
if getent passwd "$owner" >/dev/null; then say owner there; fi
if [ -d "$folder" ]; then say folder "$(stat --format='%a %U' "$folder")"; fi
for file; do
    if [ -f "$file" ]; then
        sum=$(sha1sum <"$file")
        say "file:$file" "${sum%% *} $(stat --format='%a %U %G' "$file")"
    fi
done
