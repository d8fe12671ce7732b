#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The collection as its users get it: built into a tarball, installed from that without a network, and seen whole by Ansible there.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"

export PATH=$venv/bin:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# From a copy that has what a user's clone has: deployments beside their inventories, with keys and passwords that must not be packed.
mkdir "$work/clone"
tar -C "$project" --exclude='./.*' --create . | tar -C "$work/clone" --extract
for deployment in .deployment/containers inventories/example/.deployment; do
    mkdir -p "$work/clone/$deployment/ca" "$work/clone/$deployment/secrets"
    echo secret | tee "$work/clone/$deployment/ca/ca.key" >"$work/clone/$deployment/secrets/imdb"
done
ansible-galaxy collection build --force --output-path "$work" "$work/clone" >&2
tarball=$(echo "$work"/multimaster-postgresql-*.tar.gz)
say "tarball: $(du -k "$tarball" | cut -f1) kB, $(tar -tzf "$tarball" | wc -l) files"

stray=$(tar -tzf "$tarball" | grep -vE '^(FILES.json|MANIFEST.json|README.md|LICENSE|CHANGELOG.rst|CONTRIBUTING.md|SECURITY.md)$|^(changelogs|docs|inventories|meta|playbooks|plugins|roles)(/|$)' || true)
[ -z "$stray" ] || die "the tarball has files that its users have no use for: $(head -n 3 <<<"$stray" | tr '\n' ' ')" "add them to build_ignore in galaxy.yml"

secret=$(tar -tzf "$tarball" | grep -F .deployment || true)
[ -z "$secret" ] || die "the tarball has a deployment's secrets: $(head -n 3 <<<"$secret" | tr '\n' ' ')" "keep them out with build_ignore in galaxy.yml"

# Away from the clone and its settings, so that nothing but the installed copy can be found.
cd "$work"
: >ansible.cfg
export ANSIBLE_COLLECTIONS_PATH=$work/installed ANSIBLE_CONFIG=$work/ansible.cfg
ansible-galaxy collection install --offline --no-deps --collections-path "$work/installed" "$tarball" >&2
listed=$(ansible-doc --list --type module multimaster.postgresql | wc -l)
modules=$(find "$project/plugins/modules" -name '*.py' ! -name '__init__.py' | wc -l)
[ "$listed" = "$modules" ] || die "ansible-doc lists $listed modules of $modules" "ansible-doc -l multimaster.postgresql, in the clone"
roles=$(ansible-doc --list --type role multimaster.postgresql | grep -o '^multimaster\.postgresql\.[a-z_]*' | sort -u | wc -l)
[ "$roles" = "$(find "$project/roles" -path '*/meta/argument_specs.yml' | wc -l)" ] ||
    die "ansible-doc lists $roles roles, which are not all" "ansible-doc -t role -l multimaster.postgresql, in the clone"
say "ansible-doc: $listed modules, $roles roles"
ansible-playbook --syntax-check --inventory localhost, multimaster.postgresql.site >&2 ||
    die "multimaster.postgresql.site cannot be read from the installed collection" "ansible-playbook --syntax-check multimaster.postgresql.site"
