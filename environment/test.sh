#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# test.sh STEP... : the steps of test_step.sh in this order, up to the first that fails. STEP+STEP are at work at the same time.
# shellcheck source=environment/steps.sh
. "$(dirname "$0")/steps.sh"

read -r -a names <<<"${*//+/ }"
"$project/environment/prepare.sh" molecule test "${names[@]}"

# beside NAME... : all that they say is shown as it comes, and is in the log of each.
beside() (
    trap end_running EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    commands=()
    for name in "$@"; do
        commands+=("$name" "'$project/environment/test_step.sh' $name 2>&1 | tee -a '$logs/$name.log'")
    done
    together "${commands[@]}"
)

passed=0
for group in "$@"; do
    read -r -a together_now <<<"${group//+/ }"
    if [ ${#together_now[@]} = 1 ]; then
        step "$group" "$project/environment/test_step.sh" "$group" || break
    else
        beside "${together_now[@]}" &
        running=($!)
        wait $! || break
        running=()
    fi
    passed=$((passed + ${#together_now[@]}))
done
say "steps: $passed passed, $((passed < ${#names[@]} ? 1 : 0)) failed"
[ "$passed" = ${#names[@]} ]
