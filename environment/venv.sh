#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# venv.sh [SET] : the virtual environment has exactly the versions of requirements.txt, or of requirements-SET.txt.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

requirements=$project/requirements${1:+-$1}.txt
stamp=$venv/.installed${1:+-$1}

only_one venv
"$project/environment/virtualenv.sh"
[ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint "$requirements")" ] && exit 0
touch "$venv/.installing" # prepare.sh looks for it
say "installing $(grep -c == "$requirements") Python packages"
# All versions are stated, so nothing is left to resolve; byte code is made when a file is first used, which for most of the
# ansible package's files is never.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input --no-deps --no-compile --require-hashes --requirement "$requirements" ||
    { rm "$venv/.installing" && die "the Python packages could not be installed" "check the network and pip's configuration (pip config list)"; }
fingerprint "$requirements" >"$stamp"
rm "$venv/.installing"
