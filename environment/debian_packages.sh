#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# debian_packages.sh PACKAGE... : installs those that are missing, all in one go; needs nothing (and no root) where all are there.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

missing=()
for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
        installed) ;;
        *) missing+=("$package") ;;
    esac
done
[ ${#missing[@]} = 0 ] && exit 0

if [ "$(id -u)" != 0 ] && ! { command -v sudo && sudo -n true; } >/dev/null 2>&1; then
    die "Debian packages are missing: ${missing[*]}" "as root: apt-get install --no-install-recommends ${missing[*]}"
fi
only_one apt
say "installing ${missing[*]}"
# A lock held by the machine's own unattended upgrade is waited for. Updating the lists first costs a second and spares every
# "not found" of a machine whose lists are old or empty.
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
as_root "${apt[@]}" update >&2 ||
    say "the package lists could not be updated; trying with those that are here"
# What an interrupted installation left half done is finished first; nothing to do otherwise.
as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure --pending >&2 || true
as_root "${apt[@]}" install --no-install-recommends -y "${missing[@]}" >&2 ||
    die "apt-get could not install: ${missing[*]}" "read the lines above; without a network these packages must be installed beforehand"
