#!/usr/bin/env bash
# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# From nothing to two replicating nodes with data. Run again on a live demo, it changes nothing.
# shellcheck source=environment/common.sh
. "$(dirname "$0")/common.sh"
here=$project/environment

"$here/prepare.sh" containers
"$here/containers.sh"

cd "$project"
export PATH=$venv/bin:$PATH
ansible-playbook site.yml
ansible-playbook playbooks/load_imdb.yml
ansible-playbook playbooks/status.yml

cat <<TEXT

The demo runs: PostgreSQL with the database imdb on pg1 (198.18.10.11) and pg2 (198.18.10.12), each replicating to the other.
  status page        https://198.18.10.11:5000 or https://198.18.10.12:5000 (the HTTP API; its description: /docs)
  look inside        docker exec -it -u postgres pg1 psql imdb
  status             .venv/bin/ansible-playbook playbooks/status.yml
  change something   edit inventories/containers/group_vars/all/main.yml, then: make demo
  away with it       make destroy
It took $SECONDS s.
TEXT
