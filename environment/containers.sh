#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The demo's network and its two hosts (inventories/containers has their addresses), running.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

network=multimaster
subnet=198.18.10

only_one containers
docker network inspect "$network" >/dev/null 2>&1 ||
    docker network create --subnet "$subnet.0/24" --gateway "$subnet.1" --label multimaster.postgresql=network "$network" >/dev/null ||
    die "the network $network ($subnet.0/24) could not be made" "docker network ls: another network has that range"

hosts=()
for number in 1 2; do
    "$project/environment/host.sh" "pg$number" "$network" "$subnet.1$number" &
    hosts+=($!)
done
for host in "${hosts[@]}"; do wait "$host"; done
