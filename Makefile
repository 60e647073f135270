# Developers' commands. The tools are taken from the active environment, or from .venv.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PROCESSES ?= 4
PYTEST = pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
TRL ?= $(CURDIR)/.venv-trl/try

.DEFAULT_GOAL := help
.PHONY: audit help check check-fast check-postgresql check-trl lint style types test fmt run

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

check: style ## everything that must hold before a commit
	@$(MAKE) --no-print-directory -j 2 types test

check-fast: style ## the same without Chromium, PostgreSQL and slow tests
	@$(MAKE) --no-print-directory -j 2 types test ONLY="not browser and not postgres and not slow"

check-postgresql: ## the tests again, with PostgreSQL behind all of them
	$(PYTEST) --database postgresql

lint: style types ## format, rules, types, layers

style: ## format and rules
	ruff format --check .
	ruff check .

types: ## types and layers; beside the tests they take what those leave
	nice mypy
	nice lint-imports

test: ## the tests alone; ONLY="not slow" for some of them
	$(PYTEST) $(if $(ONLY),-m "$(ONLY)")

audit: ## ask PyPI whether a pinned package has a known vulnerability; needs the network
	pip-audit --strict --no-deps --disable-pip --progress-spinner off -r requirements.txt

fmt: ## format, and mend what can be mended
	ruff format .
	ruff check --fix .

check-trl: ## train one step with TRL on exported files, in an environment of its own (.venv-trl)
	test -x .venv-trl/bin/python || python3 -m venv .venv-trl
	.venv-trl/bin/pip install --quiet -r docs/trl/requirements.txt
	rm -rf $(TRL) && mkdir -p $(TRL)
	python -m benchmarks.preferences --fill $(TRL)/arena.db --votes 60
	for format in trl kto sft; do \
	  python -m arena export --format $$format --data $(TRL) --database sqlite:///$(TRL)/arena.db --out $(TRL)/$$format.jsonl || exit 1; \
	done
	HF_HUB_OFFLINE=1 .venv-trl/bin/python docs/trl/try_exports.py $(TRL)/trl.jsonl $(TRL)/kto.jsonl $(TRL)/sft.jsonl

run: ## serve the arena here, in the foreground
	python app.py
