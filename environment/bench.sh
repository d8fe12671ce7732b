#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Measures what docs/benchmarks shows, on hosts and servers of its own, and writes it there.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

"$project/environment/prepare.sh" bench test
cd "$project"
export PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$project/collections
# make bench ARGS=backup: that part alone.
read -r -a arguments <<<"${ARGS:-}"
exec python bench/run.py "${arguments[@]}" "$@"
