#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh VERSION CLUSTER DATA_DIRECTORY PACKAGES PEERS ADDRESSES FILE... : prints what the role must know of the host, as lines of a name, a
# tab and a value. Reads only.
set -eu
version=$1 cluster=$2 data=$3 packages=$4 peers=$5 addresses=$6
shift 6
say() { printf '%s\t%s\n' "$1" "$2"; }

# shellcheck source=/dev/null
. /etc/os-release
say distribution "$ID"
say release "${VERSION_ID:-}"
say codename "${VERSION_CODENAME:-}"
say processors "$(nproc)"
awk '/^MemTotal:/ { print "memory_mb\t" int($2 / 1024) }' /proc/meminfo

# The data directory is not there yet on a new host; its file system is that of the nearest folder that is.
directory=$data
while [ ! -d "$directory" ]; do directory=${directory%/*} directory=${directory:-/}; done
df -Pm "$directory" /usr | awk 'NR == 2 { print "data_size_mb\t" $2; print "data_free_mb\t" $4 } NR == 3 { print "packages_free_mb\t" $4 }'

systemctl show --property=ActiveState,UnitFileState,NeedDaemonReload "postgresql@$version-$cluster.service" | sed 's/=/\t/'

configuration=/etc/postgresql/$version/$cluster
if [ -e "${data%/*}/.$cluster.creating" ]; then
    say cluster unfinished
elif [ -e "$configuration/postgresql.conf" ]; then
    say cluster present
    # Where its data is, if that is not where it is said to be.
    there=$(pg_conftool --short "$version" "$cluster" show data_directory 2>/dev/null || true)
    if [ -n "$there" ] && [ "$(readlink -m -- "$there")" != "$(readlink -m -- "$data")" ]; then say data_elsewhere "$there"; fi
else
    say cluster absent
fi
# Where a running server listens, whatever its configuration has come to say since.
if [ -r "$data/postmaster.pid" ]; then say running_port "$(sed -n 4p "$data/postmaster.pid")"; fi
for file in /etc/postgresql/*/*/postgresql.conf; do
    if [ ! -e "$file" ] || [ "${file%/*}" = "$configuration" ]; then continue; fi
    port=$(sed -n 's/^[[:space:]]*port[[:space:]]*=[[:space:]]*\([0-9]*\).*/\1/p' "$file" | tail -n 1)
    other=${file#/etc/postgresql/}
    say "other:${other%/*}" "${port:-5432}"
done

# Words, not one word; and dpkg ends with 1 when it does not know a package.
# shellcheck disable=SC2086
dpkg-query --show --showformat='package:${Package}\t${db:Status-Status}\n' $packages 2>/dev/null || true

# A new name that does not resolve lets nobody in, and nobody can be reached by it. One that was let in before may be down.
# Nor does one let in whose addresses are called otherwise: the server asks for the name of who comes, and compares.
# Networks and domains are no names.
for peer in $peers; do
    case $peer in
    */* | .*) continue ;;
    esac
    resolved=$(getent ahosts "$peer" | cut -d ' ' -f 1 | sort -u)
    if [ -z "$resolved" ]; then
        grep -qsF " $peer " "$configuration/pg_hba.conf" || say "unresolved:$peer" name
        continue
    fi
    # Addresses, of IPv6 and of IPv4
    case $peer in
    *:*) continue ;;
    *[!0-9.]*) ;;
    *) continue ;;
    esac
    names='' same=no
    for known in $resolved; do
        called=$(getent hosts "$known" | awk 'NR == 1 { print $2 }')
        if [ "$(echo "$called" | tr '[:upper:]' '[:lower:]')" = "$(echo "$peer" | tr '[:upper:]' '[:lower:]')" ]; then same=yes; fi
        names="$names${names:+, }$known is called ${called:-nothing}"
    done
    [ "$same" = yes ] || say "renamed:$peer" "$names"
done

# It cannot listen on an address that is elsewhere: it would start without it, and nobody would reach it.
for address in $addresses; do
    found=no
    for known in $(getent ahosts "$address" | cut -d ' ' -f 1 | sort -u); do
        if [ -n "$(ip -oneline address show to "$known")" ]; then found=yes; fi
    done
    [ "$found" = yes ] || say "elsewhere:$address" address
done

for file; do
    folder=${file%/*}
    if [ -d "$folder" ]; then say "folder:$folder" there; fi
    if [ -f "$file" ]; then
        sum=$(sha1sum <"$file")
        say "file:$file" "${sum%% *} $(stat --dereference --format='%a %U %.9Y' "$file")"
    fi
done
