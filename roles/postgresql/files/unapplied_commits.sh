#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# unapplied_commits.sh PROGRAMS DATA_DIRECTORY TIMELINE SOCKET_DIRECTORY PORT [SLOT DATABASE]... < COMMITS : of the lines that
# own_inserts.sh has printed on other nodes, those that no subscription of this server has applied in a transaction that is in its WAL;
# and before them for each slot "first:SLOT", a tab, and where in the publisher's WAL the first transaction ends that is. What came
# before that says nothing. Left out are tables that are not subscribed to yet, and those where a trigger of the user's could turn
# rows away: nothing is left of such a transaction. Reads only.
# Whoever calls it sets PGOPTIONS, so that the sessions are ours whatever server, database and role have set.
set -eu
export LC_ALL=C TZ=UTC
programs=$1 wal=$2/pg_wal timeline=$3 socket=$4 port=$5
shift 5
exec 3<&0

# By its number, and by the transaction that made it: numbers are used again, and what came by an earlier subscription is not meant.
origins="SELECT 'origin', o.roident, o.xmin, s.subslotname FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_replication_origin o ON o.roname = 'pg_' || s.oid WHERE s.subslotname = :'slot'
  AND s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database());"
tables="SELECT 'table', md5(format('%I.%I', n.nspname, c.relname)), :'slot'
FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid AND r.srsubstate = 'r'
JOIN pg_catalog.pg_class c ON c.oid = r.srrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE s.subslotname = :'slot'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND g.tgenabled IN ('R', 'A') AND g.tgtype & 7 = 7
                  AND g.tgname <> '00_multimaster_insert');"
# psql takes a name with "=" for connection options.
conninfo() { printf "dbname='%s'" "$(printf %s "$1" | sed -e "s/[\\\\']/\\\\&/g")"; }

known=''
while [ $# -ge 2 ]; do
    found=$(printf '%s\n' "$origins" "$tables" |
        "$programs/psql" --no-psqlrc --no-password --tuples-only --no-align --quiet --set=ON_ERROR_STOP=1 --host="$socket" --port="$port" \
            --dbname="$(conninfo "$2")" --set=slot="$1")
    known=$known$found'
'
    shift 2
done
first=$(find -H "$wal" -maxdepth 1 -type f -name "$(printf '%08X' "$timeline")????????????????" | sort | head -n 1)
[ -n "$first" ] || exit 0
name=${first##*/}
segment=${name#????????????????}
log=${name#????????}
log=${log%????????}
start=$(printf '%X/%X' "0x$log" $((0x$segment * $(stat --format=%s "$first"))))
{
    printf '%s' "$known" | tr '|' '\t'
    # It ends with an error, where the WAL does.
    { "$programs/pg_waldump" --path="$wal" --timeline="$timeline" --rmgr=Transaction --start="$start" 2>/dev/null </dev/null || true; } |
        sed -nE -e 's/.* tx: *([0-9]+), .* desc: COMMIT.*; origin: node ([0-9]+), lsn ([0-9A-F]+\/[0-9A-F]+), at ([0-9 :.-]+) UTC.*/applied\t\1\t\2\t\3\t\4/p' \
            -e t -e 's/.* tx: *([0-9]+), .* desc: COMMIT.*/made\t\1/p'
    cat <&3
} | awk -F '\t' '
    $1 == "origin" { slot[$2] = $4; began[$3] = $4; next }
    $1 == "table" { subscribed[$3, $2]; next }
    # What was applied before the origin was made came by another subscription.
    $1 == "made" { if ($2 in began) { since[began[$2]] = NR; delete before[began[$2]] } next }
    $1 == "applied" {
        if ($3 in slot) {
            if (!(slot[$3] in before)) before[slot[$3]] = $4
            have[slot[$3], $5] = NR
        }
        next
    }
    !said { for (each in before) print "first:" each "\t" before[each]; said = 1 }
    NF == 4 && ($2, $4) in subscribed && have[$2, $3] + 0 <= since[$2] + 0'
