#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# missing_commits.sh PROGRAMS DATA_DIRECTORY TIMELINE < COMMITS : of the lines that applied_commits.sh has printed on other nodes, those
# of whose commit time this server's WAL has no commit; and before them "first", a tab, and where the first commit is that it does
# have. What was committed before that says nothing. Reads only.
set -eu
export LC_ALL=C
programs=$1 wal=$2/pg_wal timeline=$3
exec 3<&0

first=$(find -H "$wal" -maxdepth 1 -type f -name "$(printf '%08X' "$timeline")????????????????" | sort | head -n 1)
[ -n "$first" ] || exit 0
name=${first##*/}
segment=${name#????????????????}
log=${name#????????}
log=${log%????????}
start=$(printf '%X/%X' "0x$log" $((0x$segment * $(stat --format=%s "$first"))))
{
    # It ends with an error, where the WAL does.
    { TZ=UTC "$programs/pg_waldump" --path="$wal" --timeline="$timeline" --rmgr=Transaction --start="$start" 2>/dev/null </dev/null || true; } |
        sed -nE 's/.* lsn: ([0-9A-F]+\/[0-9A-F]+),.* desc: COMMIT[^;]* ([0-9]{4}-[0-9-]+ [0-9:.]+) UTC.*/have\t\1\t\2/p'
    cat <&3
} | awk -F '\t' '
    $1 == "have" { if (!first) { first = $2; print "first\t" first } have[$3]; next }
    first && NF >= 2 && !($2 in have)'
