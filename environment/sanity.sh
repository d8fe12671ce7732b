#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-test sanity, all of its tests, no ignores. Further arguments go to ansible-test (`--test validate-modules`, a file ...).
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

# What is tested is a copy: ansible-test wants the folders .../ansible_collections/multimaster/postgresql to be real ones.
# --others: what is not committed yet is tested too.
home=$cache/ansible-test
copy=$home/ansible_collections/multimaster/postgresql
rm -rf "$copy"
mkdir -p "$copy"
cd "$project"
git ls-files --cached --others --exclude-standard -z -- ':!collections' |
    while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
    tar --create --null --files-from - --file - | tar --extract --directory "$copy"
# In a repository of its own; else ansible-test would ask the one around it, which ignores .cache, and find nothing to test.
git init --quiet "$copy"

# It keeps environments of its own per test. They live in .cache with this HOME, where pip must still find its settings.
mkdir -p "$home/.config" "$home/.ansible/test/cache"
[ ! -d "${HOME:-/root}/.config/pip" ] || ln -sfn "${HOME:-/root}/.config/pip" "$home/.config/pip"

# These environments get their pip by a script that ansible-test would download from a server of its own. The pip that Python itself
# carries does the same: it installs the version that is asked for from the package registry.
requirements=$("$venv/bin/python" -c 'import ansible_test._internal.python_requirements as module; print(module.__file__)')
pip=$(sed -n "s/^ *pip='\([0-9.]*\)',$/\1/p" "$requirements" | head -n 1)
cat >"$home/.ansible/test/cache/get_pip_${pip//./_}.py" <<'PYTHON'
import ensurepip
import glob
import os
import runpy
import sys

folders = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), "/usr/share/python-wheels"]
wheels = sorted(wheel for folder in folders for wheel in glob.glob(os.path.join(folder, "pip-*.whl")))
sys.path.insert(0, wheels[-1])
sys.argv[1:] = ["install", *(argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
PYTHON

cd "$copy"
version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
HOME=$home PATH=$venv/bin:$PATH "$venv/bin/ansible-test" sanity --venv --python "$version" --color no "$@"
