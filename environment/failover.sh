#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The API and the failover class under load and faults, on hosts of their own; the figures go to docs/benchmarks/failover.*.
# ARGS goes to bench/failover/run.py, ROUNDS is its --rounds.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"
read -r -a arguments <<<"${ARGS:-}"
only_one failover

"$project/environment/prepare.sh" failover test
cd "$project"
export PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$project/collections
export PYTHONPATH=$project/bench:$project/bench/failover:$project/roles/failover_api/files/python
exec python bench/failover/run.py ${ROUNDS:+--rounds "$ROUNDS"} "${arguments[@]}" "$@"
