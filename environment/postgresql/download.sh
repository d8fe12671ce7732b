#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fetches the registry packages named in `sources` into .cache/downloads, each once, each checked against its SHA-256.
# Which registries these are is the machine's own configuration of pip and npm.
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=environment/npm.sh
. "$here/../npm.sh"

downloads=$cache/downloads
only_one downloads
mkdir -p "$downloads"
rm -rf "$downloads"/incoming.* # left by a run that was killed

fetch() { # fetch REGISTRY PACKAGE VERSION DIRECTORY
    case $1 in
        npm)
            npm pack --loglevel error --fetch-retries 1 --fetch-retry-mintimeout 1000 --pack-destination "$4" "$2@$3" >/dev/null
            ;;
        pypi)
            "$here/../virtualenv.sh"
            # The tags of the one file wanted: it holds programs, so it serves every Python.
            "$venv/bin/python" -m pip download -qq --disable-pip-version-check --no-deps --only-binary :all: \
                --python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 --dest "$4" "$2==$3"
            ;;
    esac
}

checked() { [ -f "$1" ] && printf '%s  %s\n' "$2" "$1" | sha256sum --quiet --check - >/dev/null 2>&1; }

while read -r registry package version file sum; do
    case $registry in '' | '#'*) continue ;; esac
    checked "$downloads/$file" "$sum" && continue
    say "downloading $package $version ($registry)"
    incoming=$(mktemp -d "$downloads/incoming.XXXXXX")
    trap 'rm -rf "$incoming"' EXIT
    fetch "$registry" "$package" "$version" "$incoming" </dev/null ||
        die "$package $version could not be downloaded" "check the network and the $registry registry that this machine is set up for"
    checked "$incoming/$file" "$sum" ||
        die "$package $version is not the file it was when this was written" "compare its SHA-256 with environment/postgresql/sources"
    mv "$incoming/$file" "$downloads/$file"
    rm -rf "$incoming"
done <"$here/sources"
