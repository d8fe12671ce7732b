#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Azurite, Azure's storage as a program, for the tests of backups: each of its packages is checked against the lock's checksum, and none runs
# a script of its own. Prints the command's two words: node and the program.
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=environment/npm.sh
. "$here/../npm.sh"

only_one azurite >&2
made=$cache/azurite-$(fingerprint "$here/package-lock.json")
if [ ! -d "$made" ]; then
    rm -rf "$cache"/azurite-*
    mkdir "$cache/azurite-new"
    cp "$here"/package*.json "$cache/azurite-new/"
    npm ci --prefix "$cache/azurite-new" --loglevel error --no-audit --no-fund --omit=optional --ignore-scripts >&2 </dev/null ||
        die "Azurite could not be installed" "check the network and the npm registry that this machine is set up for"
    mv "$cache/azurite-new" "$made"
fi
node=$(node_folder)
echo "${node:+$node/bin/}node $made/node_modules/azurite/dist/src/blob/main.js"
