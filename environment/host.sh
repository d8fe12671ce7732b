#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh NAME NETWORK ADDRESS [DOCKER OPTION...] : a test host as a systemd container; started where it is stopped, made where
# there is none, left alone where it runs.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

image=multimaster-host:trixie
name=$1 network=$2 address=$3
shift 3

state=$(docker container inspect --format '{{.State.Status}}' "$name" 2>/dev/null) || state=absent
case $state in
    running) ;;
    paused) docker unpause "$name" >/dev/null ;;
    exited | created) docker start "$name" >/dev/null ;;
    absent)
        mkdir -p "$cache/repository"
        # systemd wants cgroups it can write and tmpfs where it keeps its own files; the engine's --privileged would want
        # capabilities that CI machines do not give. NET_ADMIN is for tests that cut a host off from inside.
        docker run --detach --name "$name" --hostname "$name" --network "$network" --ip "$address" \
            --label multimaster.postgresql=host --label multimaster.clone="$project" \
            --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
            --cgroupns host --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --env SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 \
            --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec --shm-size 256m \
            --volume "$cache/repository:/srv/pgdg:ro" \
            "$@" "$image" >/dev/null ||
            die "the container $name could not be made" "make destroy, then this again"
        ;;
    *) die "the container $name is $state" "docker rm -f $name, then this again" ;;
esac

# The network can have been made anew since the container was; a test can have cut it off.
if [ -z "$(docker container inspect --format "{{with index .NetworkSettings.Networks \"$network\"}}{{.IPAddress}}{{end}}" "$name")" ]; then
    docker network connect --ip "$address" "$network" "$name"
fi

for _ in $(seq 300); do
    case $(docker exec "$name" systemctl is-system-running 2>/dev/null) in running | degraded) exit 0 ;; esac
    sleep 0.2
done
docker logs --tail 5 "$name" >&2
die "systemd in the container $name is not up after a minute" "docker logs $name"
