#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh FILE... : prints what the role must know of the host, as lines of a name, a tab and a value. Reads only.
set -eu
say() { printf '%s\t%s\n' "$1" "$2"; }

if systemd-detect-virt --quiet --container; then say container yes; else say container no; fi
if getent passwd redis >/dev/null; then say user there; fi
systemctl show --property=ActiveState,UnitFileState,NeedDaemonReload,ActiveEnterTimestamp --timestamp=unix redis-server.service | sed 's/=@\{0,1\}/\t/'
# It ends with 1 when it does not know the package.
dpkg-query --show --showformat='package:${Package}\t${db:Status-Status}\n' redis-server 2>/dev/null || true
for file; do
    folder=${file%/*}
    if [ -d "$folder" ]; then say "folder:$folder" there; fi
    if [ -f "$file" ]; then
        sum=$(sha1sum <"$file")
        say "file:$file" "${sum%% *} $(stat --dereference --format='%a %U %Y' "$file")"
    fi
done
