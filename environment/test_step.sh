#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# test_step.sh lint|collection|unit|sanity|integration|backup|faults|failover|molecule : one part of the tests, on a prepared machine. ARGS goes to its
# runner; SCENARIO is the one Molecule scenario to run.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"
here=$project/environment
read -r -a arguments <<<"${ARGS:-}"

cd "$project"
export PATH=$venv/bin:$PATH
# The clone is what is tested: through its symlink, not an installed copy.
export ANSIBLE_COLLECTIONS_PATH=$project/collections PROJECT_CACHE=$cache
# Colours are for terminals, and here the output goes through a pipe.
export NO_COLOR=1 ANSIBLE_NOCOLOR=1

lint() {
    ruff check
    "$here/types.sh"
    git ls-files --cached --others --exclude-standard -z -- '*.sh' .ci/run | xargs -0 shellcheck
    ansible-lint
    antsibull-changelog lint
}

# Two at a time, each on hosts and a network of its own: a scenario waits as long as it computes. The core of the fault tests is the
# last of them: it runs beside the last scenario.
molecule_scenarios() {
    # What an interrupted run left would be in the way of this one.
    "$here/destroy.sh" --tests "${SCENARIO:-}"
    export MOLECULE_GLOB='molecule/*/molecule.yml'
    # A scenario that is asked for by name does all that it can.
    if [ -n "${SCENARIO:-}" ]; then export MOLECULE_TESTS='long or not long'; else export MOLECULE_TESTS='not long'; fi
    printf '%s\n' "${SCENARIO:-$(cd molecule && dirname -- */molecule.yml && echo faults)}" | xargs --max-procs 2 --max-args 1 "$here/scenario.sh"
}

case $1 in
    lint) lint ;;
    collection) "$here/collection.sh" ;;
    unit) pytest --numprocesses 2 tests/unit "${arguments[@]}" ;;
    # A host with pgBackRest of its own takes minutes: make test-backup. What takes the time of faults wants a quiet machine, and some want
    # a browser: make test-failover
    integration)
        pytest --numprocesses 2 --dist worksteal -m 'not quiet and not browser' tests/integration --ignore tests/integration/pgbackrest "${arguments[@]}"
        ;;
    failover) pytest tests/integration/failover "${arguments[@]}" ;;
    backup) pytest --numprocesses 2 --dist worksteal tests/integration/pgbackrest "${arguments[@]}" ;;
    # Of these, the faults alone; their core runs beside the Molecule scenarios
    faults) pytest --numprocesses 2 --dist worksteal tests/integration/pgbackrest -m fault "${arguments[@]}" ;;
    sanity) "$here/sanity.sh" "${arguments[@]}" ;;
    molecule) molecule_scenarios ;;
    *) die "there is no step $1" "make help" ;;
esac
