#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# prepare.sh DEPLOYMENT [test [STEP...]] : all that the hosts of a deployment (or the tests) stand on: Debian packages, Python environment,
# engine, image, and where PostgreSQL's packages come from.
# What is there already is left alone; a run with nothing to do takes about a second.
# shellcheck source=environment/steps.sh
. "$(dirname "$0")/steps.sh"
here=$project/environment

[ -f /etc/debian_version ] || die "this is not Debian" "Debian 12 or 13 is what these commands know"

only_one prepare
# An installation that was killed can leave a package that pip neither uses nor removes: then all is made anew.
[ ! -e "$venv/.installing" ] || rm -rf "$venv"

deployment=$project/.deployment/$1
"$here/package_source.sh" "$deployment" 2>"$logs/package_source.log"
# Tests always need the packages made here: they also start these servers on this machine.
make_packages=no
if [ "${2:-}" = test ] || grep -q '^postgresql_repository: custom' "$deployment/package_source.yml"; then make_packages=yes; fi

# All missing Debian packages in one go: apt's own start-up, several times over, would cost more than the packages.
packages=()
wants() { # wants PROGRAM PACKAGE...
    command -v "$1" >/dev/null || packages+=("${@:2}")
}
/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
read -r -a engine < <(engine_packages)
wants docker "${engine[@]}"
wants mmdebstrap mmdebstrap
wants gpg gpg gpg-agent
# Without root, mmdebstrap works in a user namespace.
if [ "$(id -u)" != 0 ]; then wants newuidmap uidmap; fi
if [ $make_packages = yes ]; then
    wants apt-ftparchive apt-utils
fi
if [ "${2:-}" = test ]; then
    wants git git
    wants ssh openssh-client
    wants shellcheck shellcheck
fi
# The API's own tests run Redis servers, and some show its page in a browser.
case " ${*:3} " in
    *" integration "* | *" failover "*) wants redis-server redis-server ;;
esac
case " ${*:3} " in
    *" failover "*) wants chromium chromium ;;
esac
if [ ${#packages[@]} -gt 0 ]; then together debian "'$here/debian_packages.sh' ${packages[*]}"; fi

steps=(venv "'$here/venv.sh' ${2:-}" image "'$here/engine.sh' && '$here/image.sh'")
if [ $make_packages = yes ]; then steps+=(repository "'$here/postgresql/build.sh'"); fi
case " ${*:3} " in
    *" backup "* | *" faults "*) steps+=(azurite "'$here/azurite/install.sh'") ;;
esac
together "${steps[@]}"
