#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh DATA_DIRECTORY PACKAGES UNITS CALENDARS STANZAS CLUSTERS FILE... : prints what the role must know of the host, as lines of a
# name, a tab and a value. CALENDARS, and the data directories CLUSTERS, are separated by semicolons; STANZAS are those whose repository is
# looked at. Reads only.
set -eu
data=$1 packages=$2 units=$3 calendars=$4 stanzas=$5 clusters=$6
shift 6
say() { printf '%s\t%s\n' "$1" "$2"; }

say processors "$(nproc)"
if getent passwd postgres >/dev/null; then say user there; fi
# WAL that waits for the archive fills the disk that pg_wal is on, which can be another one than the data directory's.
directory=$data/pg_wal
while [ ! -d "$directory" ]; do directory=${directory%/*} directory=${directory:-/}; done
df -Pm "$directory/." | awk 'NR == 2 { print "wal_size_mb\t" $2 }'

# Words, not one word; and dpkg ends with 1 when it does not know a package.
# shellcheck disable=SC2086
dpkg-query --show --showformat='package:${Package}\t${db:Status-Status}\n' $packages 2>/dev/null || true

# shellcheck disable=SC2086
systemctl show --property=Id,ActiveState,UnitFileState,NeedDaemonReload,ActiveEnterTimestamp --timestamp=unix $units | awk -F= '
    { value[$1] = $2 }
    function told() {
        if ("Id" in value)
            print "unit:" value["Id"] "\t" value["ActiveState"] " " (value["UnitFileState"] == "" ? "-" : value["UnitFileState"]) \
                " " value["NeedDaemonReload"] " " (value["ActiveEnterTimestamp"] == "" ? 0 : substr(value["ActiveEnterTimestamp"], 2))
        delete value
    }
    $0 == "" { told() }
    END { told() }'

for timer in /etc/systemd/system/multimaster-backup-*@*.timer; do
    if [ -e "$timer" ]; then say "timer:${timer##*/}" there; fi
done

old=$IFS IFS=';'
for calendar in $calendars; do
    systemd-analyze calendar "$calendar" >/dev/null 2>&1 || say "calendar:$calendar" wrong
done
# Which cluster it is: the system identifier, the first 8 bytes of pg_control. A restore under way has none.
for cluster in $clusters; do
    if [ -f "$cluster/global/pg_control" ]; then say "system_id:$cluster" "$(od -An -N8 -tu8 "$cluster/global/pg_control" | tr -d ' ')"; fi
done
IFS=$old

for file; do
    folder=${file%/*}
    if [ -d "$folder" ]; then say "folder:$folder" there; fi
    if [ -f "$file" ]; then
        sum=$(sha1sum <"$file")
        say "file:$file" "${sum%% *} $(stat --dereference --format='%a %U %Y' "$file")"
    fi
done

# Whether another passphrase would be written over the one that is there is told by a checksum. What is on a repository host has none.
configuration=/etc/pgbackrest/pgbackrest.conf
if [ -f "$configuration" ]; then
    # One word a line.
    # shellcheck disable=SC2013
    for repository in $(sed -n 's/^\(repo[0-9]*\)-.*/\1/p' "$configuration" | sort -u); do
        if grep -q "^$repository-host=" "$configuration"; then continue; fi
        sum=$(grep "^$repository-cipher-" "$configuration" | LC_ALL=C sort | sha256sum)
        say "cipher:$repository" "${sum%% *}"
    done
fi

# All stanzas of the repositories, as the server's user sees them. One line of JSON. Not on a host that takes no backups: it would
# wait for a repository host that is away. Errors quote what cannot be decrypted: only
# what can be printed is left of it, so that it stays one line.
if [ -n "$stanzas" ] && command -v pgbackrest >/dev/null; then
    say info "$(setpriv --reuid=postgres --regid=postgres --init-groups pgbackrest --log-level-console=off info --output=json 2>/dev/null | LC_ALL=C tr -cd '[:print:]')"
fi
