#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# For maintainers: pins everything that requirements*.in needs, for every supported Python at once, in requirements*.txt.
# LOCK_OPTIONS=--upgrade brings all to their newest versions.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$project/environment/virtualenv.sh"
"$venv/bin/python" -m venv "$work/uv"
"$work/uv/bin/pip" install -qq --disable-pip-version-check uv
cd "$project"
compile() {
    # shellcheck disable=SC2086 # options, split on purpose
    "$work/uv/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-annotate --generate-hashes --custom-compile-command "make lock" ${LOCK_OPTIONS:-} "$@"
}
compile requirements-test.in --output-file requirements-test.txt
# The smaller set has the larger one's versions.
compile requirements.in --constraint requirements-test.txt --output-file requirements.txt
