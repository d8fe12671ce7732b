#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# applied_commits.sh PROGRAMS DATA_DIRECTORY TIMELINE SOCKET_DIRECTORY PORT SUBSCRIPTION LIMIT : prints for each transaction that a
# subscription of this name has applied, and that is still in this server's WAL, after a tab: where in its publisher's WAL its commit
# ends, and when it was committed there (UTC). At most LIMIT, spread over all there are, the last one included. Reads only.
set -eu
programs=$1 wal=$2/pg_wal timeline=$3 socket=$4 port=$5 subscription=$6 limit=$7

origins=$(printf '%s\n' "SELECT o.roident FROM pg_subscription s JOIN pg_replication_origin o ON o.roname = 'pg_' || s.oid WHERE s.subname = :'name'" |
    "$programs/psql" --no-psqlrc --no-password --tuples-only --no-align --quiet --set=ON_ERROR_STOP=1 --host="$socket" --port="$port" \
        --dbname=postgres --set=name="$subscription")
first=$(find "$wal" -maxdepth 1 -type f -name "$(printf '%08X' "$timeline")????????????????" | sort | head -n 1)
[ -n "$origins" ] && [ -n "$first" ] || exit 0

name=${first##*/}
segment=${name#????????????????}
log=${name#????????}
log=${log%????????}
start=$(printf '%X/%X' "0x$log" $((0x$segment * $(stat --format=%s "$first"))))
# It ends with an error, where the WAL does.
{ TZ=UTC "$programs/pg_waldump" --path="$wal" --timeline="$timeline" --rmgr=Transaction --start="$start" 2>/dev/null || true; } |
    sed -nE 's/.* desc: COMMIT.*; origin: node ([0-9]+), lsn ([0-9A-F]+\/[0-9A-F]+), at ([0-9 :.-]+) UTC.*/\1\t\2\t\3/p' |
    awk -F '\t' -v origins="$origins" -v limit="$limit" '
        BEGIN { split(origins, list, "\n"); for (i in list) wanted[list[i]] }
        $1 in wanted { line[++count] = $2 "\t" $3 }
        END { step = count > limit ? count / limit : 1; for (i = count; i >= 1; i -= step) print line[int(i)] }'
