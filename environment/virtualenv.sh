#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# An empty virtual environment with pip, where there is none yet (3 s). venv.sh fills it; others need only its pip.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

only_one virtualenv
"$venv/bin/python" -m pip --version >/dev/null 2>&1 && exit 0

# Debian's own interpreter first: a `python3` found on PATH can be a version manager's shim with no version behind it.
usable() { "$1" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; }
for python in ${PYTHON:-} /usr/bin/python3 python3; do
    if usable "$python"; then
        say "virtual environment with $("$python" --version) in $venv"
        # --clear: half an environment, left by an interrupted run, would stay half.
        "$python" -m venv --clear "$venv"
        exit 0
    fi
done
die "no usable Python: 3.11 or newer with the venv module is needed" "apt-get install python3-venv, or PYTHON=/path/to/python3 make ..."
