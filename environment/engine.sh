#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A Docker engine that answers: installed from Debian's archive and started where there is none.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

answers() { docker version --format '{{.Server.Version}}' 2>&1; }

only_one engine
if command -v docker >/dev/null; then
    answer=$(answers) && exit 0
    case $answer in
        *'permission denied'*) die "this user may not use the Docker engine" "join the group docker (usermod -aG docker $(id -un); newgrp docker), or run as root" ;;
    esac
    [ -z "${DOCKER_HOST:-}" ] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST" "start it, or unset DOCKER_HOST to use this machine's own"
fi

read -r -a packages < <(engine_packages)
if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
    "$project/environment/debian_packages.sh" "${packages[@]}"
fi

if [ -d /run/systemd/system ]; then
    as_root systemctl start docker
else
    # No service manager here (a container, a CI machine): start it by hand. A pid file can outlive its engine, and its number
    # can by then belong to another program, which would keep the engine from starting.
    for pid_file in /run/docker.pid:dockerd /run/docker/containerd/containerd.pid:containerd; do
        program=${pid_file#*:} pid_file=${pid_file%:*}
        if [ -s "$pid_file" ] && [ "$(cat "/proc/$(cat "$pid_file")/comm" 2>/dev/null)" != "$program" ]; then
            as_root rm -f "$pid_file"
        fi
    done
    say "starting dockerd (log: $logs/dockerd.log)"
    # Its own networks keep to the range of the test networks (198.18.0.0/15, meant for such tests), so they hide nothing real.
    # Its socket is for the group docker, or for the user who starts it through sudo. 9>&-: it must not hold this script's lock for as
    # long as it lives.
    group=docker
    if [ "$(id -u)" != 0 ] || ! getent group docker >/dev/null; then group=$(id -gn); fi
    as_root setsid dockerd --group "$group" --bip 198.18.0.1/24 --default-address-pool base=198.18.224.0/19,size=24 \
        </dev/null >"$logs/dockerd.log" 2>&1 9>&- &
fi

for _ in $(seq 150); do
    answers >/dev/null && say "engine: Docker $(answers)" && exit 0
    # A dockerd that ended will not answer any more. (Under systemd it is not ours to watch.)
    [ -d /run/systemd/system ] || [ -n "$(jobs -r)" ] || break
    sleep 0.2
done
tail -n 5 "$logs/dockerd.log" 2>/dev/null >&2 || true
die "the Docker engine does not start" "read $logs/dockerd.log (or: journalctl -u docker)"
