#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# own_inserts.sh PROGRAMS DATA_DIRECTORY TIMELINE SOCKET_DIRECTORY PORT LIMIT SLOT DATABASE PUBLICATION [SLOT DATABASE PUBLICATION]... :
# prints for each transaction of this server that has inserted rows which a slot sends, and that whoever reads from the slot has
# confirmed, where its commit is in this server's WAL, and after tabs the slot, when it was committed (UTC), and the digest of the name
# of a table that it wrote to. At most LIMIT for all, the newest first; and before them for each slot "from:SLOT", a tab, and where
# the WAL begins that was read. Reads only.
# Whoever calls it sets PGOPTIONS, so that the sessions are ours whatever server, database and role have set.
#
# An insert leaves its trace on every node: updates and deletes leave none where their rows are gone, and so are not looked at. Nor
# are tables of which not every row is sent, those where a trigger of the user's could turn rows away, and files that the
# transaction itself has made: to write a table anew is no insert.
set -eu
export LC_ALL=C TZ=UTC
programs=$1 wal=$2/pg_wal timeline=$3 socket=$4 port=$5 limit=$6
shift 6

# The files of the tables, as WAL names them, and up to where the slot is confirmed.
query="
SELECT DISTINCT d.oid || '/' || pg_relation_filenode(f.relid), s.confirmed_flush_lsn, s.slot_name,
    md5(format('%I.%I', t.schemaname, t.tablename))
FROM pg_database d
JOIN pg_replication_slots s ON s.slot_name = :'slot' AND s.confirmed_flush_lsn IS NOT NULL
LEFT JOIN pg_publication p ON p.pubname = :'publication' AND p.pubinsert
LEFT JOIN pg_publication_tables t ON t.pubname = p.pubname AND t.schemaname <> 'multimaster' AND t.rowfilter IS NULL
LEFT JOIN LATERAL (
    SELECT c.oid AS relid FROM pg_class c
    WHERE c.oid = format('%I.%I', t.schemaname, t.tablename)::regclass
       OR c.oid IN (SELECT relid FROM pg_partition_tree(format('%I.%I', t.schemaname, t.tablename)::regclass))) f
  ON NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = f.relid AND g.tgenabled IN ('R', 'A') AND g.tgtype & 7 = 7
                 AND g.tgname <> '00_multimaster_insert')
WHERE d.datname = current_database()"

first=$(find -H "$wal" -maxdepth 1 -type f -name "$(printf '%08X' "$timeline")????????????????" | sort | head -n 1)
[ -n "$first" ] || exit 0
name=${first##*/}
segment=${name#????????????????}
log=${name#????????}
log=${log%????????}
start=$(printf '%X/%X' "0x$log" $((0x$segment * $(stat --format=%s "$first"))))

# psql takes a name with "=" for connection options.
conninfo() { printf "dbname='%s'" "$(printf %s "$1" | sed -e "s/[\\\\']/\\\\&/g")"; }

tables=''
while [ $# -ge 3 ]; do
    found=$(printf '%s\n' "$query" |
        "$programs/psql" --no-psqlrc --no-password --tuples-only --no-align --quiet --set=ON_ERROR_STOP=1 --host="$socket" --port="$port" \
            --dbname="$(conninfo "$2")" --set=slot="$1" --set=publication="$3")
    tables=$tables$found'
'
    shift 3
done
# No further than the slots are: what came since is much, after a long time.
end=$(printf '%s' "$tables" | awk -F '|' '
    function number(lsn) { split(lsn, part, "/"); sub(/^0+/, "", part[2]); return sprintf("%8s%8s", part[1], part[2]) }
    NF >= 2 && number($2) > number(end) { end = $2 }
    END { print end }')
[ -n "$end" ] || exit 0
{
    printf '%s' "$tables" | sed -E 's/^([^|]*)\|([^|]*)\|([^|]*)\|(.*)$/slot\t\1\t\2\t\3\t\4/'
    # It ends with an error, where there is no WAL. An insert that might find its key taken counts when it is confirmed.
    { "$programs/pg_waldump" --path="$wal" --timeline="$timeline" --rmgr=Transaction --rmgr=Storage --rmgr=Heap --rmgr=Heap2 --start="$start" --end="$end" \
        2>/dev/null || true; } |
        sed -nE -e '/ desc: COMMIT.*; origin: node /d' -e '/ desc: INSERT[^;]* flags: 0x[0-9A-Fa-f]*[4-7C-Fc-f][,;]? /d' \
            -e 's/.* tx: *([0-9]+), .* desc: (INSERT|MULTI_INSERT|HEAP_CONFIRM).* blkref #0: rel [0-9]+\/([0-9]+\/[0-9]+) .*/row\t\1\t\3/p' -e t \
            -e 's/.* tx: *([0-9]+), .* desc: CREATE .*\/([0-9]+\/[0-9]+)$/made\t\1\t\2/p' -e t \
            -e 's/.* tx: *([0-9]+), lsn: ([0-9A-F]+\/[0-9A-F]+), .* desc: COMMIT ([0-9-]+ [0-9:.]+) UTC(.*; subxacts:([ 0-9]*))?.*/end\t\1\t\2\t\3\t\5/p'
} | awk -F '\t' -v start="$start" -v limit="$limit" '
    function number(lsn) { split(lsn, part, "/"); sub(/^0+/, "", part[2]); return sprintf("%8s%8s", part[1], part[2]) }
    $1 == "slot" {
        if (!($4 in confirmed)) print "from:" $4 "\t" start
        confirmed[$4] = number($3)
        sender[$2] = $4
        table[$2] = $5
        next
    }
    $1 == "made" { made[$2, $3]; next }
    $1 == "row" && ($2, $3) in made { next }
    $1 == "row" { if ($3 in sender) wrote[$2] = $3; next }
    {
        parts = split($2 " " $5, each, " ")
        for (i = 1; i <= parts; i++) {
            if (each[i] in wrote) {
                relation = wrote[each[i]]
                if (number($3) < confirmed[sender[relation]]) line[++count] = $3 "\t" sender[relation] "\t" $4 "\t" table[relation]
                delete wrote[each[i]]
                while (++i <= parts) delete wrote[each[i]]
            }
        }
    }
    END { for (i = count; i > 0 && count - i < limit; i--) print line[i] }'
