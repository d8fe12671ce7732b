#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# package_source.sh FOLDER : writes FOLDER/package_source.yml, variables that say where the test hosts get PostgreSQL from:
# PGDG where it answers, otherwise the local repository, through the same variables that anyone's mirror would use.
# Decided once per deployment: a network that comes and goes must not change hosts that are there.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

url=http://apt.postgresql.org/pub/repos/apt/dists/trixie-pgdg/InRelease
file=$1/package_source.yml
[ -s "$file" ] && exit 0
mkdir -p "$1"

# Asked by apt, whose settings (a proxy) the hosts have too.
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
if timeout 10 /usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::http::Timeout=4 download-file "$url" "$answer" >&2; then
    say "PostgreSQL from PGDG's repository"
    cat >"$file.new" <<YAML
---
postgresql_repository: pgdg
YAML
else
    say "PostgreSQL from the local repository (PGDG's does not answer)"
    cat >"$file.new" <<YAML
---
postgresql_repository: custom
postgresql_repository_source:
  name: pgdg
  types: [deb]
  uris: ['file:/srv/pgdg']
  suites: [trixie-pgdg]
  components: [main]
  signed_by: /srv/pgdg/key.asc
YAML
fi
mv "$file.new" "$file"
