#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# test.sh STEP... : the steps of test_step.sh in this order, up to the first that fails.
# shellcheck source=environment/steps.sh
. "$(dirname "$0")/steps.sh"

"$project/environment/prepare.sh" molecule test "$@"

passed=0
for name in "$@"; do
    step "$name" "$project/environment/test_step.sh" "$name" || break
    passed=$((passed + 1))
done
say "steps: $passed passed, $((passed < $# ? 1 : 0)) failed"
[ "$passed" = $# ]
