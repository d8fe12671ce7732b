#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The image of the test hosts: what a plain Debian 13 server has when Ansible first meets it, with systemd as its first process.
# No container registry is needed; made once, and again when this file or the machine's mirrors change.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

image=multimaster-host:trixie
suite=trixie
# openssh-server is there for hosts reached over SSH, and off until such a test starts it.
packages=systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,iproute2,sudo,procps,openssh-server,locales,tzdata
# What the programs of some hosts speak, all messages included: tests/hostile
locale=de_DE.UTF-8
# What makes no sense in a container, or works at moments of its own choosing: apt's timers hold its lock.
masked=(apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
    getty@tty1.service console-getty.service systemd-udevd.service systemd-firstboot.service systemd-networkd.service)

only_one image
mirror=$project/environment/mirror.sh
sources=$("$mirror" sources "$suite")
settings=$("$mirror" settings)
stamp=$(printf '%s\n' "$sources" "$settings" | fingerprint "$0" -)
[ "$(docker image inspect --format '{{index .Config.Labels "fingerprint"}}' "$image" 2>/dev/null)" = "$stamp" ] && exit 0

"$project/environment/debian_packages.sh" mmdebstrap debian-archive-keyring
say "making the image $image"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%s\n' "$sources" >"$work/sources.list"
printf '%s\n' "$settings" >"$work/settings"
# The hosts are thrown away: what dpkg syncs to disk, and manuals nobody reads, would only make installing slower.
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --aptopt="$work/settings" \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt="path-include=/usr/share/locale/${locale%%_*}/*" \
    --customize-hook="chroot \"\$1\" systemctl --quiet mask ${masked[*]}" \
    --customize-hook="chroot \"\$1\" systemctl --quiet disable ssh.service ssh.socket" \
    --customize-hook="chroot \"\$1\" localedef --inputfile=${locale%.*} --charmap=UTF-8 $locale" \
    --customize-hook=": >\"\$1/etc/machine-id\"" \
    "$suite" - "$work/sources.list" |
    docker import --change 'CMD ["/lib/systemd/systemd"]' --change 'ENV container=docker' - "$image-root" >/dev/null ||
    die "the image of the test hosts could not be made" "check the network and the Debian mirror: environment/mirror.sh sources $suite"
# What import cannot set: the signal that systemd takes for "power off" (without it `docker stop` waits out its time limit), labels.
DOCKER_BUILDKIT=0 docker build --quiet --tag "$image" - >/dev/null 2>"$work/build.log" <<DOCKERFILE || die "docker build failed: $(tail -n 1 "$work/build.log")"
FROM $image-root
STOPSIGNAL SIGRTMIN+3
LABEL multimaster.postgresql=image fingerprint=$stamp
DOCKERFILE
docker image rm "$image-root" >/dev/null
