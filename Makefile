# All files that these targets create stay in this checkout, in folders that git ignores.

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
AIRFLOW ?= 3.3.2
PROCESSES ?= processes
# Twice as many workers as processors: many tests wait for an emulator.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(8, 2 * (os.cpu_count() or 1)))')
CLIENTS := $(foreach version,0 1 2,$(VENV)/clients/$(version)/.installed)
APPS := $(VENV)/apps/4/.installed $(VENV)/apps/5/.installed $(VENV)/apps/6/.installed

export AIRFLOW_HOME := $(CURDIR)/.airflow
export PIP_CACHE_DIR := $(CURDIR)/.venv/pip-cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install clients apps demo test test-slow test-apps test-processes test-matrix test-cluster test-providers check lint format types sync-docs docs dist clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(INSTALLED)

install: $(INSTALLED) ## Create the virtual environment

$(VENV)/clients/%/.installed: tests/emulator/clients/%.txt
	$(PYTHON) -m venv $(VENV)/clients/$*
	$(VENV)/clients/$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

clients: $(CLIENTS) ## Create environments for the official clients that the tests use

$(VENV)/apps/%/.installed: tests/space_app/environments/%.txt
	$(PYTHON) -m venv $(VENV)/apps/$*
	$(VENV)/apps/$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

apps: $(APPS) ## Create environments with Gradio 4, 5 and 6, for test-apps and benchmarks (Python 3.10 to 3.12)

demo: $(INSTALLED) ## Watch a Space move to a GPU, work and return, on an emulated Hub
	@$(BIN)/python scripts/demo.py

test: $(INSTALLED) $(CLIENTS) ## Run the tests
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

test-slow: $(INSTALLED) $(CLIENTS) ## Run the tests that repeat a search for faults many times
	$(BIN)/python -m pytest -m slow --numprocesses $(WORKERS) --dist worksteal

test-apps: $(INSTALLED) $(APPS) ## Run the tests of the app's client against real apps of Gradio 4, 5 and 6
	$(BIN)/python -m pytest -m apps --numprocesses 0 tests/space_app tests/emulator

test-processes: $(INSTALLED) ## Run the tests that start and kill the processes of a whole Airflow
	$(BIN)/python -m pytest -m "$(PROCESSES)" --numprocesses 2 --dist loadfile tests/processes

$(VENV)/matrix/.installed: constraints/matrix.txt
	$(PYTHON) -m venv $(VENV)/matrix
	$(VENV)/matrix/bin/python -m pip install --quiet --requirement constraints/matrix.txt
	@touch $@

test-matrix: $(VENV)/matrix/.installed $(CLIENTS) ## Run the tests on every pair of Airflow and Python (or SESSIONS="oldest newest airflow-3.1")
	PATH="$(VENV)/matrix/bin:$$PATH" $(VENV)/matrix/bin/python scripts/matrix.py $(SESSIONS)

$(VENV)/cluster/$(AIRFLOW)/.installed: pyproject.toml constraints/cluster-$(AIRFLOW).txt
	@$(PYTHON) tests/cluster/needs.py
	$(PYTHON) -m venv $(VENV)/cluster/$(AIRFLOW)
	$(VENV)/cluster/$(AIRFLOW)/bin/python -m pip install --quiet --editable '.[cluster]' apache-airflow==$(AIRFLOW) \
		--constraint $(firstword $(wildcard constraints/airflow-$(AIRFLOW).txt) constraints.txt) \
		--constraint constraints/cluster-$(AIRFLOW).txt
	@touch $@

test-cluster: $(VENV)/cluster/$(AIRFLOW)/.installed ## Run the tests on PostgreSQL, Redis and Celery, and kill each component (or AIRFLOW=2.11.2)
	@$(PYTHON) tests/cluster/needs.py
	$(VENV)/cluster/$(AIRFLOW)/bin/python -m pytest -m cluster tests/cluster

$(VENV)/providers/$(AIRFLOW)/.installed: pyproject.toml constraints/providers-$(AIRFLOW).txt
	$(PYTHON) -m venv $(VENV)/providers/$(AIRFLOW)
	# The FAB provider needs other versions of some packages than Airflow itself installs.
	awk -F== 'NR == FNR { replaced[$$1]; print; next } !($$1 in replaced)' constraints/providers-$(AIRFLOW).txt \
		$(firstword $(wildcard constraints/airflow-$(AIRFLOW).txt) constraints.txt) > $(VENV)/providers/$(AIRFLOW)/constraints.txt
	$(VENV)/providers/$(AIRFLOW)/bin/python -m pip install --quiet --editable '.[providers]' apache-airflow==$(AIRFLOW) \
		--constraint $(VENV)/providers/$(AIRFLOW)/constraints.txt
	@touch $@

test-providers: $(VENV)/providers/$(AIRFLOW)/.installed ## Run the tests with the FAB auth manager and OpenLineage (or AIRFLOW=3.0.6, 3.1.8 or 3.2.2; Python 3.11 or 3.12)
	$(VENV)/providers/$(AIRFLOW)/bin/python -m pytest --numprocesses 0 tests/airflow/test_openlineage.py
	$(VENV)/providers/$(AIRFLOW)/bin/python -m pytest -m processes --numprocesses 0 tests/processes/test_auth_managers.py

check: lint format types ## Check lint, format and types

lint: $(INSTALLED)
	$(BIN)/ruff check

format: $(INSTALLED)
	$(BIN)/ruff format --check

types: $(INSTALLED)
	$(BIN)/mypy

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

sync-docs: $(INSTALLED) ## Write example code and tables of parameters into the pages
	$(BIN)/python scripts/sync_docs.py

docs: $(VENV)/.docs ## Build the documentation in docs/_build (Python 3.11 or newer); warnings are errors
	@rm -rf docs/_build docs/reference
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build
	@echo "Open docs/_build/index.html"

$(VENV)/.release: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[release]'
	@touch $@

dist: $(VENV)/.release ## Build wheel and sdist, and check the wheel in an environment with Airflow only
	$(BIN)/python scripts/check_dist.py

clean: ## Remove all files that the other targets created
	rm -rf $(VENV) $(AIRFLOW_HOME) build dist docs/_build docs/reference .pytest_cache .mypy_cache .ruff_cache
