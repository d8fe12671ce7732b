# shellcheck shell=bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by every script of this folder: where things are, and how a step speaks and fails.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=$project/.cache
logs=$cache/log
# shellcheck disable=SC2034 # for the scripts that source this
venv=${MULTIMASTER_VENV:-$project/.venv}
mkdir -p "$logs"

# Messages of the tools that these scripts run are in English, whatever the user's locale.
export LC_ALL=C.UTF-8
# Compiled anew by each of its processes, Ansible takes twice as long.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*"; }

# die WHAT_IS_WRONG [WHAT_TO_DO]: the one line a person needs, and the end of the step.
die() {
    printf 'ERROR: %s%s\n' "$1" "${2:+ -> $2}" >&2
    exit 1
}

# as_root COMMAND...: what only root may do, through sudo where it asks for no password.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        die "this needs root: $*" "run the command as root, or give this user sudo without a password"
    fi
}

# only_one NAME: two runs at the same time take turns instead of spoiling each other's files. Held until the script ends.
only_one() {
    exec 9>"$cache/$1.lock"
    flock --nonblock 9 && return
    say "waiting for another run to let go of $1"
    flock --wait 900 9 || die "another run has been holding $cache/$1.lock for 15 minutes" "end it, then run this again"
}

# fingerprint FILE... : changes when any of the files does (a step's own scripts are part of what it was built from).
fingerprint() { cat "$@" | sha256sum | cut -c1-32; }

# debian FIELD : what /etc/os-release says of this machine
debian() (
    . /etc/os-release
    printf '%s' "${!1:-}"
)

# The Debian packages of a Docker engine: the client is one of its own from Debian 13 on. (testing and sid have no number.)
engine_packages() {
    local version
    version=$(debian VERSION_ID)
    if [ "${version:-13}" -ge 13 ]; then echo docker.io docker-cli; else echo docker.io; fi
}
