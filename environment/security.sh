#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# security.sh : pgdsat (https://github.com/HexaCluster/pgdsat) on the demo's hosts; what it finds has to be mended, or to have its reason in
# tests/security/exceptions.yml. PGDSAT is the folder of a clone of it: no package registry has it.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

[ -f "${PGDSAT:-}/pgdsat" ] || die "PGDSAT=${PGDSAT:-} is no folder with pgdsat" "clone https://github.com/HexaCluster/pgdsat, then make security PGDSAT=FOLDER"
for host in pg1 pg2; do
    [ "$(docker container inspect --format '{{.State.Status}}' "$host" 2>/dev/null)" = running ] || die "the host $host does not run" "make demo"
done

# shellcheck disable=SC2317 # called by the trap
clear_away() { for host in pg1 pg2; do docker exec "$host" rm -rf /var/tmp/pgdsat || true; done; }
trap clear_away EXIT
status=0
for host in pg1 pg2; do
    docker cp "$PGDSAT/." "$host:/var/tmp/pgdsat" >/dev/null
    docker exec "$host" chmod -R a+rX /var/tmp/pgdsat
    report=$logs/pgdsat-$host.txt
    docker exec --user postgres --workdir /var/tmp/pgdsat "$host" \
        perl -I lib pgdsat --format text --output - --no-pg-version-check --user postgres --database postgres >"$report" 2>&1 ||
        die "pgdsat failed on $host" "read $report"
    "$venv/bin/python" "$project/tests/security/findings.py" "$host" <"$report" || status=1
done
say "whole reports: $logs/pgdsat-*.txt"
exit $status
