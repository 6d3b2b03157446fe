# `make demo` and `make test` are all the setup there is; each installs what it needs into .venv.

PYTHON ?= python3
BIN := .venv/bin
# As in pyproject.toml: dbt-core 1.11 does not run on Python 3.14.
FITS := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
# Start over if an installation was interrupted, or if the Python of .venv is gone or does not fit.
CLEAR := $(shell test -e .venv/ready && $(BIN)/python $(FITS) 2>/dev/null || echo --clear)
LINT := .venv-lint/bin
EVENTS ?= 1000000
OLDEST ?= /usr/lib/postgresql/15/bin
VENDOR := api/static/vendor
# Otherwise each pytest process rewrites the assertions of 450 modules, plugins included.
export PYTHONDONTWRITEBYTECODE :=
# A folder changes when a file in it goes.
SQL := $(wildcard models models/* models/*/* macros macros/* seeds/*/* tests/*/*.sql) \
    .sqlfluff dbt_project.yml .ci/lint_sql.py

.DEFAULT_GOAL := help
.PHONY: help setup start-over demo test chaos audit oldest lint format bench docs vendor screenshots clean

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 13

setup: .venv/ready ## Make the virtual environment

.venv/ready: pyproject.toml constraints.txt $(if $(CLEAR),start-over)
	@$(PYTHON) $(FITS) 2>/dev/null || { version=`$(PYTHON) --version 2>&1` || version=missing; echo \
	    "This project needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $$version." \
	    "Name another one: PYTHON=python3.12 make $(MAKECMDGOALS)"; exit 1; } >&2
	rm -f .venv/ready
	$(PYTHON) -m venv $(CLEAR) .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

# With what the tests and linters need.
.venv/dev: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

start-over:

demo: setup ## Fill an embedded PostgreSQL with a made-up app and run every job
	$(BIN)/python cli.py demo

test: lint ## Run everything that CI runs
	$(BIN)/python -m pytest --numprocesses 2

chaos: .venv/dev ## Run the slow tests that kill, disconnect, race and flood
	$(BIN)/python -m pytest --numprocesses 2 -m chaos

audit: setup ## Ask the Python Package Index which pinned versions have known vulnerabilities
	$(BIN)/python -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit==2.10.1
	.venv/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

oldest: .venv/dev ## Run the jobs' tests on the oldest PostgreSQL that is supported, Debian's 15
	.ci/with-postgres $(OLDEST) $(BIN)/python -m pytest --numprocesses 2 \
	    tests/test_guarantees.py tests/test_against_oracle.py tests/test_readouts.py \
	    tests/test_run_log.py tests/test_dbt_project.py \
	    tests/chaos/test_planted_functions.py tests/chaos/test_source_shapes.py tests/test_plans.py

# check-jsonschema and sqlfluff's way into dbt want different versions of click, so the linters of
# everything but Python and SQL have an environment of their own.
.venv-lint/ready: constraints-lint.txt | .venv/ready
	$(BIN)/python -m venv --clear .venv-lint
	.venv-lint/bin/pip install --quiet --requirement constraints-lint.txt
	touch $@

target/sql-style: .venv/dev $(SQL)
	$(BIN)/python .ci/lint_sql.py
	mkdir -p target
	touch $@

lint: .venv/dev .venv-lint/ready target/sql-style ## Check types, style, workflows and container
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(LINT)/yamllint --strict .
	$(LINT)/pymarkdown --config .pymarkdown.json scan *.md docs
	$(LINT)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(LINT)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(LINT)/zizmor --offline --quiet --pedantic .github
	$(LINT)/hadolint Dockerfile

format: .venv/dev ## Put the Python code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure the jobs on EVENTS events (10 million take a few minutes to make), then the API
	$(BIN)/python -m bench $(EVENTS)
	$(BIN)/python -m bench.api

docs: setup ## Build the documentation of the models as one page, target/site/index.html
	$(BIN)/python cli.py docs --build-only

vendor: ## Download the charting library again, in the version of vendor/package.json
	cd $(VENDOR) && npm install --no-package-lock --no-audit --no-fund --ignore-scripts --silent
	cd $(VENDOR)/node_modules/uplot && cp dist/uPlot.iife.min.js dist/uPlot.min.css ../../uplot/
	cp $(VENDOR)/node_modules/uplot/LICENSE $(VENDOR)/uplot/LICENSE.txt
	node -p 'require("./$(VENDOR)/node_modules/uplot/package.json").version' > $(VENDOR)/uplot/VERSION.txt
	rm -r $(VENDOR)/node_modules

screenshots: .venv/dev ## Retake the pictures in docs/images, from demo data in Chromium
	$(BIN)/python -m pytest tests/browser/screenshots.py

clean: ## Delete everything that was generated here, the embedded database too
	rm -rf .venv .venv-lint .rollup target logs
