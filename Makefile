# Copyright (c) 2026 multimaster.postgresql contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every target does the set-up that it needs by itself; the work is in environment/.

SHELL := /bin/bash
.DEFAULT_GOAL := help
SCENARIO ?=
ARGS ?=
ROUNDS ?=

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-18s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: ## Two replicating hosts with data, from nothing; again: changes nothing
	@environment/demo.sh

.PHONY: test
test: ## Everything that CI runs
	@environment/test.sh lint+sanity collection unit integration molecule

.PHONY: test-lint
test-lint: ## ruff, mypy, shellcheck, ansible-lint, changelog
	@environment/test.sh lint

.PHONY: test-collection
test-collection: ## Build, install and list the collection's tarball
	@environment/test.sh collection

.PHONY: test-unit
test-unit: ## Unit tests (ARGS='-k name')
	@environment/test.sh unit

.PHONY: test-sanity
test-sanity: ## ansible-test sanity (ARGS='--test validate-modules')
	@environment/test.sh sanity

.PHONY: test-integration
test-integration: ## The modules, the failover class and the API on two real servers (ARGS='-k name')
	@environment/test.sh integration

.PHONY: test-backup
test-backup: ## The backup modules against a host with pgBackRest
	@environment/test.sh backup

.PHONY: test-faults
test-faults: ## Of these, what a backup has to survive: broken files, full and absent repositories
	@environment/test.sh faults

.PHONY: test-failover
test-failover: ## The failover class and the API, with what takes time or a browser
	@environment/test.sh failover

.PHONY: test-molecule
test-molecule: ## Whole deployments on containers (SCENARIO=default for one), and the core of test-faults (SCENARIO=faults)
	@environment/test.sh molecule

.PHONY: security
security: ## pgdsat on the demo's hosts (PGDSAT=FOLDER of a clone of it); each finding is mended or has its reason
	@environment/security.sh

.PHONY: bench
bench: ## Measures the figures of docs/benchmarks (ARGS=backup for a part)
	@environment/bench.sh

.PHONY: failover
failover: ## Load and faults for the API, with a report in docs/benchmarks (ROUNDS=1 ARGS='--faults kill' for a short one)
	@environment/failover.sh

.PHONY: destroy
destroy: ## Removes the hosts, networks and volumes that the demo and the tests made
	@environment/destroy.sh

.PHONY: clean
clean: ## destroy, and what was built or downloaded: image, packages, virtual environment
	@environment/destroy.sh --images
	@rm -rf .venv .cache .ansible .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: lock
lock: ## For maintainers: pins what requirements*.in need
	@environment/lock.sh

PGDSAT ?=
export SCENARIO ARGS ROUNDS PGDSAT
