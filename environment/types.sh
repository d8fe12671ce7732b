#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# types.sh : mypy over every Python file. Its settings are in pyproject.toml.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"
cd "$project"
export PATH=$venv/bin:$PATH

failed=0
# Silent where nothing is wrong
check() { mypy --no-error-summary "$@" || failed=1; }

# Packages are checked by the names that they are imported by.
check --package ansible_collections.multimaster.postgresql.plugins
check roles/failover_api/files/python
# All else are scripts and tests, which import what lies beside them; folder by folder, since folders have files of the same name.
mapfile -t folders < <(git ls-files --cached --others --exclude-standard -z -- '*.py' ':!plugins' ':!roles/failover_api/files/python' |
    xargs -0 dirname | sort -u)
for folder in "${folders[@]}"; do
    files=("$folder"/*.py)
    # Git lists the files of a removed folder until that is committed.
    [ -e "${files[0]}" ] || continue
    MYPYPATH=$folder check "${files[@]}"
done
exit "$failed"
