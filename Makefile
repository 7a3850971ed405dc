# `make` prints this list. Needs python3 (3.11 or newer) with pip, and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check --quiet

.PHONY: help install run test servers inside outside check bench conformance mutants docs lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

install: $(VENV)/.installed ## set up .venv with the modgate command; quick the second time

run: install ## serve on 127.0.0.1:8080 with local models: no key, no account, no server
	@$(BIN)/modgate serve --config config/gateway.yaml

test: $(VENV)/.tested servers ## the whole suite, in two halves beside each other
	@$(MAKE) --no-print-directory -j2 --output-sync=target inside outside

servers: ## the servers that tests start for themselves: redis-server, from Debian's package where it is missing
	@command -v redis-server >/dev/null || sh tests/servers.sh

inside: $(VENV)/.tested servers ## the half of the suite that stays in the code
	@$(BIN)/python -m pytest tests/contract tests/policies tests/simulation tests/sweep tests/unit

outside: $(VENV)/.tested servers ## the half that goes in by the front door
	@$(BIN)/python -m pytest tests/docs tests/drills tests/endtoend tests/faults tests/simulator tests/web

check: $(VENV)/.tested ## lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.tested ## side by side with bare programs, other gateways and the vendors' clients; into docs/performance.md
	@$(BIN)/python -m bench.run --docs
	@$(BIN)/python -m bench.outage --docs
	@$(BIN)/python -m bench.sdk
	@$(BIN)/python -m bench.sweep

conformance: $(VENV)/.tested ## CEL's own test files against the language of rules: CEL_SPEC=<folder of *.textproto>
	@$(BIN)/python -m tests.policies.conformance "$(or $(CEL_SPEC),$(error say where the files are: make conformance CEL_SPEC=<folder>))"

mutants: $(VENV)/.tested ## does a test fail for each change of dispatch and decide? Takes hours; ONLY='gateway.policy.tally*' a part
	@$(BIN)/mutmut run $(ONLY)
	@$(BIN)/mutmut results | { grep -v 'not checked' || true; }

docs: $(VENV)/.tested ## renew the generated parts of docs/
	@$(BIN)/python -m docs.generate

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
REQUIRES := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

lock: ## renew requirements*.lock from pyproject.toml (needs uv)
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) --extra test pyproject.toml -o requirements-test.lock
	@$(PYTHON) -c '$(REQUIRES)' | $(LOCK) --constraint requirements-test.lock - -o requirements-build.lock

clean: ## remove what install, run and test made
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis config/var bench/out mutants

# `venv --without-pip` works where Debian's python3-venv is not installed; pip then installs into it from outside.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("modgate needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing into $(VENV) …"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed requirements-test.lock
	@echo "Installing what the tests need …"
	@$(PIP) install --require-hashes -r requirements-test.lock
	@touch $@
