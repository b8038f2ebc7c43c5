# Everything starts here: `make demo` shows the product, `make test` proves it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak bench lint lock clean

# The first Python on this machine that is new enough; merely being on the PATH is not enough.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then command -v $$python; break; fi; done)
BIN := .venv/bin
READY := .venv/.ready
NPM := sync_service/devstack/lite tests/emulators/google/npm

# A checkout that was moved or copied takes its scripts' absolute paths along: set up again.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: $(READY) ## Install everything into .venv, so that .venv/bin/calsync runs

$(READY): requirements.lock pyproject.toml sync_service/devstack/install.py \
		$(foreach folder,$(NPM),$(folder)/deno.json $(folder)/deno.lock)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed and none was found." >&2; exit 1; }
	@$(PYTHON) sync_service/devstack/install.py

demo: setup ## Start everything and watch events travel both ways (ARGS=--once ends by itself)
	@$(BIN)/calsync demo $(ARGS)

test: setup ## Run the whole test suite (ARGS are pytest's)
	@$(BIN)/pytest --numprocesses=2 --dist=loadfile $(ARGS)

N ?= 2000

soak: setup ## Run N random histories of both sides against the invariants (CALSYNC_SEED repeats)
	@CALSYNC_HISTORIES=$(N) $(BIN)/pytest tests/convergence/test_fresh_histories.py -s $(ARGS)

bench: setup ## Measure single edits beside somebody's bulk; writes bench/results.json (4 minutes)
	@$(BIN)/python -m bench.beside_bulk $(ARGS)

lint: setup ## Check style, formatting, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports

lock: setup ## Resolve the dependencies anew into the lock files
	@$(PYTHON) -m venv .calsync/tools
	@.calsync/tools/bin/pip install --quiet uv
	@UV_CUSTOM_COMPILE_COMMAND="make lock" .calsync/tools/bin/uv pip compile --quiet --upgrade \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra stack --group dev --output-file requirements.lock pyproject.toml
	@for folder in $(NPM); do (cd $$folder && rm -f deno.lock \
		&& DENO_DIR=$${DENO_DIR:-$(CURDIR)/.venv/deno} $(CURDIR)/$(BIN)/deno install --quiet) \
		|| exit 1; done

clean: ## Remove what was installed and every embedded stack's data
	@rm -rf .venv .calsync .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
