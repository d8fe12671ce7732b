#!/bin/sh
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# failback_mark.sh take MARK RUN SECONDS PORT : sets the mark of a run, or keeps its own one fresh. Ends with 3 where there is one of
# another run that is not yet so many seconds old, and with 4 where that one is old, but the server on the port is on its way up or
# down: then the other run may be waiting for it.
# failback_mark.sh look MARK RUN SECONDS PORT : ends as take would, and sets nothing.
# failback_mark.sh leave MARK RUN : takes the run's own mark away, and no other.
set -eu
action=$1 mark=$2 run=$3
is_anothers() { [ -e "$mark" ] && [ "$(cat "$mark")" != "$run" ]; }

if [ "$action" = leave ]; then
    is_anothers || rm -f "$mark"
    exit 0
fi
seconds=$4 port=$5
if is_anothers; then
    if [ $(($(date +%s) - $(stat --format=%Y "$mark"))) -lt "$seconds" ]; then exit 3; fi
    # It says 1 while the server rejects connections.
    answer=0
    pg_isready --quiet --host=/var/run/postgresql --port="$port" || answer=$?
    moving=$(systemctl list-units --no-legend --plain --state=activating,deactivating 'postgresql@*')
    if [ "$answer" -eq 1 ] || [ -n "$moving" ]; then exit 4; fi
fi
if [ "$action" = look ]; then exit 0; fi
printf %s "$run" >"$mark"
# The comparison of rows keeps it fresh, and works as this user.
chown postgres "$mark"
