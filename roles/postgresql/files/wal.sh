#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# wal.sh PROGRAMS DATA_DIRECTORY TIMELINE POSITION... : prints for each position in WAL, after a tab, where the first record from there on
# begins and what the record before it is. Nothing for a position whose WAL is not there. Reads only.
set -eu
export LC_ALL=C
programs=$1 wal=$2/pg_wal timeline=$3
shift 3
record() { "$programs/pg_waldump" --path="$wal" --timeline="$timeline" --start="$1" --limit=1 2>/dev/null | grep '^rmgr' || true; }

for position; do
    next=$(record "$position")
    previous=$(printf '%s' "$next" | sed -n 's/.* prev \([0-9A-F/]*\),.*/\1/p')
    if [ -z "$previous" ]; then continue; fi
    begin=$(printf '%s' "$next" | sed -n 's/.* lsn: \([0-9A-F/]*\),.*/\1/p')
    printf '%s\t%s %s\n' "$position" "$begin" "$(record "$previous" | sed -n 's/^rmgr: *\([^ ]*\) .*desc: \([A-Z_]*\).*/\1 \2/p')"
done
