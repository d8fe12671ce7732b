#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mirror.sh sources SUITE : apt sources lines of Debian SUITE, from the mirrors that this machine itself uses
# mirror.sh settings      : this machine's apt settings that a host behind the same mirrors needs too
# apt itself is asked, so one-line and deb822 sources both work. Another mirror: DEBIAN_MIRROR=http://... make demo
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

codename=$(debian VERSION_CODENAME)

# uri_of RELEASE : the URI under which this machine has that release's component main; the list of them comes on stdin
uri_of() {
    local uri
    uri=$(awk -v release="$1" '$1 == release && !found { found = 1; print $2 }')
    case $uri in
        # Debian's cloud images keep the list of mirrors in a file of the machine's; its first entry is the one to use.
        mirror+file:*) uri=$(awk '!/^#/ && NF { print $1; exit }' "${uri#mirror+file:}") ;;
    esac
    printf '%s' "${uri%/}"
}

sources() {
    local suite=$1 targets main security
    # shellcheck disable=SC2016 # apt's own placeholders
    targets=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main')
    main=${DEBIAN_MIRROR:-$(uri_of "$codename" <<<"$targets")}
    [ -n "$main" ] || die "no Debian mirror is set up in /etc/apt" "DEBIAN_MIRROR=http://your.mirror/debian make ..."
    security=$(uri_of "$codename-security" <<<"$targets")
    printf 'deb %s %s main\n' "$main" "$suite" "$main" "$suite-updates"
    [ -z "$security" ] || printf 'deb %s %s main\n' "$security" "$suite-security"
}

settings() {
    apt-config dump Acquire::http::Proxy Acquire::https::Proxy Acquire::Check-Valid-Until Acquire::Check-Date 2>/dev/null |
        grep -E '^Acquire::(http::Proxy|https::Proxy|Check-Valid-Until|Check-Date) ' || true
    # Nothing reads translated package descriptions here, and they are half of an update.
    printf 'Acquire::Languages "none";\n'
}

"$@"
