# shellcheck shell=bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by what runs several steps: each says when it begins and how long it took, keeps its log, and fails with
# the end of that log and one line.

# shellcheck source=environment/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

started=$SECONDS
running=()

# Steps run in process groups of their own (set -m), so that ending this run ends all they started, and nothing else.
set -m
end_running() {
    local group
    for group in "${running[@]}"; do kill -TERM -- "-$group" 2>/dev/null || true; done
}
trap end_running EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

elapsed() { printf '[%3d s]' "$((SECONDS - started))"; }

# failed NAME : the end of its log, where the rest is, and what the step itself said is wrong
failed() {
    local log=$logs/$1.log
    if grep -q '^ERROR: ' "$log"; then
        printf '%s %s FAILED: %s\n' "$(elapsed)" "$1" "$(grep '^ERROR: ' "$log" | tail -n 1)" >&2
    else
        tail -n 15 "$log" >&2
        printf '%s %s FAILED -> the whole log: %s\n' "$(elapsed)" "$1" "$log" >&2
    fi
}

# together NAME COMMAND [NAME COMMAND ...] : steps that do not need each other, at the same time. What they print to stdout is shown
# line by line; what they print to stderr is in the log alone.
together() {
    local -A name_of=()
    local begun=$SECONDS name command pid status beat=0
    while [ $# -gt 0 ]; do
        name=$1 command=$2
        shift 2
        : >"$logs/$name.log"
        (eval "$command" 2>>"$logs/$name.log" </dev/null | sed -u "s/^/        $name: /") &
        name_of[$!]=$name
        running+=($!)
    done
    while [ ${#name_of[@]} -gt 0 ]; do
        sleep 0.2
        for pid in "${!name_of[@]}"; do
            kill -0 "$pid" 2>/dev/null && continue
            status=0
            wait "$pid" || status=$?
            name=${name_of[$pid]}
            unset "name_of[$pid]"
            if [ "$status" != 0 ]; then
                failed "$name"
                exit 1
            fi
            say "$(elapsed) $name: ready"
        done
        beat=$((beat + 1))
        if [ $((beat % 75)) = 0 ] && [ ${#name_of[@]} -gt 0 ]; then
            say "$(elapsed) still at work for $((SECONDS - begun)) s: ${name_of[*]}"
        fi
    done
    running=()
}

# step NAME COMMAND... : one after the other, with all its output shown and kept
step() {
    local name=$1 begun=$SECONDS status=0
    shift
    say "$(elapsed) $name ..."
    ("$@" 2>&1 </dev/null | tee "$logs/$name.log") &
    running=($!)
    wait $! || status=$?
    running=()
    if [ "$status" != 0 ]; then
        printf '%s %s FAILED after %d s -> the whole log: %s\n' "$(elapsed)" "$name" "$((SECONDS - begun))" "$logs/$name.log" >&2
        return 1
    fi
    say "$(elapsed) $name: passed in $((SECONDS - begun)) s"
}
