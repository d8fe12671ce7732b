#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# applied_commits.sh PROGRAMS DATA_DIRECTORY TIMELINE SOCKET_DIRECTORY PORT SUBSCRIPTION LIMIT : prints for each transaction that a
# subscription of this name has applied, and that is still in this server's WAL, after a tab: where in its publisher's WAL its commit
# ends, and after tabs when it was committed there (UTC) and which slot it came from. At most LIMIT, spread over all there are, the
# last one included. Reads only.
# Whoever calls it sets PGOPTIONS, so that the sessions are ours whatever server, database and role have set.
set -eu
export LC_ALL=C
programs=$1 wal=$2/pg_wal timeline=$3 socket=$4 port=$5 subscription=$6 limit=$7

# By its number, and by the transaction that made it: numbers are used again, and what came by an earlier subscription is not meant.
query="SELECT o.roident, o.xmin, s.subslotname FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_replication_origin o ON o.roname = 'pg_' || s.oid WHERE s.subname = :'name'"
origins=$(printf '%s\n' "$query" |
    "$programs/psql" --no-psqlrc --no-password --tuples-only --no-align --quiet --set=ON_ERROR_STOP=1 --host="$socket" --port="$port" \
        --dbname=postgres --set=name="$subscription" | tr '\n' ' ')
first=$(find -H "$wal" -maxdepth 1 -type f -name "$(printf '%08X' "$timeline")????????????????" | sort | head -n 1)
[ -n "$origins" ] && [ -n "$first" ] || exit 0

name=${first##*/}
segment=${name#????????????????}
log=${name#????????}
log=${log%????????}
start=$(printf '%X/%X' "0x$log" $((0x$segment * $(stat --format=%s "$first"))))
# It ends with an error, where the WAL does.
{ TZ=UTC "$programs/pg_waldump" --path="$wal" --timeline="$timeline" --rmgr=Transaction --start="$start" 2>/dev/null || true; } |
    sed -nE -e 's/.* tx: *([0-9]+), .* desc: COMMIT.*; origin: node ([0-9]+), lsn ([0-9A-F]+\/[0-9A-F]+), at ([0-9 :.-]+) UTC.*/\1\t\2\t\3\t\4/p' \
        -e t -e 's/.* tx: *([0-9]+), .* desc: COMMIT.*/\1/p' |
    awk -F '\t' -v origins="$origins" -v limit="$limit" '
        BEGIN {
            rows = split(origins, row, " ")
            for (i = 1; i <= rows; i++) { split(row[i], value, "|"); slot[value[1]] = value[3]; made[value[2]] = value[1] }
        }
        $1 in made { since[made[$1]] = NR }
        $2 in slot { found[++all] = NR; origin[all] = $2; text[all] = $3 "\t" $4 "\t" slot[$2] }
        END {
            for (i = 1; i <= all; i++) if (found[i] > since[origin[i]] + 0) line[++count] = text[i]
            step = count > limit ? count / limit : 1
            for (i = count; i >= 1; i -= step) print line[int(i)]
        }'
