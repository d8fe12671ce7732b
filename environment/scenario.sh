#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# scenario.sh NAME : one Molecule scenario, or the core of the fault tests of backups under the name faults; all that it says into a
# log of its own. What its tests counted is shown, and the end of the log where it fails. Called by test_step.sh, which says where
# things are.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

name=$1
log=$logs/molecule-$name.log
case $name in
    faults) run=(pytest tests/integration/pgbackrest -m core) ;;
    *) run=(molecule test --scenario-name "$name") ;;
esac
say "scenario $name ..."
if "${run[@]}" >"$log" 2>&1 </dev/null; then
    say "scenario $name: passed in $SECONDS s: $(grep -E '^=+ .*(passed|failed).* =+$' "$log" | tail -n 1)"
else
    tail -n 80 "$log"
    say "scenario $name FAILED after $SECONDS s -> the whole log: $log"
    exit 255 # for xargs: no further scenario
fi
