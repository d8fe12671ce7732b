#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Removes what this project made in the Docker engine: containers with their volumes, networks, volumes. Found by label, and by name
# where an interrupted Molecule run left something without one. Never anything else.
#   --tests [SCENARIO]   only what Molecule made (for this scenario); a demo goes on
#   --images             the hosts' image as well
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

command -v docker >/dev/null && docker version >/dev/null 2>&1 || exit 0

ours() { # ours KIND NAME_PATTERN NAME_AND_ID label|name [LS OPTION...] : the KIND that are ours, by name, or by name or label
    local kind=$1 pattern=$2 format=$3 by=$4
    shift 4
    {
        docker "$kind" ls "$@" --format "$format" | awk -v pattern="$pattern" '$1 ~ pattern { print $2 }'
        if [ "$by" = label ]; then docker "$kind" ls "$@" --quiet --filter label=multimaster.postgresql; fi
    } | sort -u
}

remove() { # remove WHAT COMMAND... < IDS
    local what=$1 ids
    shift
    mapfile -t ids
    [ ${#ids[@]} -gt 0 ] || return 0
    say "removing ${#ids[@]} $what"
    "$@" "${ids[@]}" >/dev/null
}

if [ "${1:-}" = --tests ]; then
    ours container "^mm-${2:+$2-}" '{{.Names}} {{.ID}}' name --all | remove containers docker rm --force --volumes
    ours network "^multimaster-${2:+$2\$}" '{{.Name}} {{.ID}}' name | remove networks docker network rm
    exit 0
fi
ours container '^(pg[12]$|mm-)' '{{.Names}} {{.ID}}' label --all | remove containers docker rm --force --volumes
ours network '^multimaster(-|$)' '{{.Name}} {{.ID}}' label | remove networks docker network rm
ours volume '^multimaster(-|$)' '{{.Name}} {{.Name}}' label | remove volumes docker volume rm --force
# Secrets and choices of deployments that are gone with their hosts.
rm -rf "$project/.deployment/containers" "$project/.deployment/molecule" "$project/.deployment/bench" "$project/.deployment/failover"
if [ "${1:-}" = --images ]; then
    docker image ls --quiet --filter label=multimaster.postgresql | sort -u | remove images docker image rm --force
fi
