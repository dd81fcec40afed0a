# Everything these targets make stays inside this checkout, in folders that git ignores.

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CLIENTS := $(VENV)/clients/0/.installed $(VENV)/clients/2/.installed

export AIRFLOW_HOME := $(CURDIR)/.airflow
export PIP_CACHE_DIR := $(CURDIR)/.venv/pip-cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install clients demo test test-processes check lint format types clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(INSTALLED)

install: $(INSTALLED) ## Make the virtual environment

$(VENV)/clients/%/.installed: tests/emulator/clients/%.txt
	$(PYTHON) -m venv $(VENV)/clients/$*
	$(VENV)/clients/$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

clients: $(CLIENTS) ## Make environments for the official clients that tests compare with

demo: $(INSTALLED) ## Watch a Space go to a GPU, work, and come back, on an emulated Hub
	@$(BIN)/python scripts/demo.py

test: $(INSTALLED) $(CLIENTS) ## Run the tests
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile

test-processes: $(INSTALLED) ## Run the tests that start and kill a whole Airflow
	$(BIN)/python -m pytest -m processes tests/processes

check: lint format types ## Lint, format and types

lint: $(INSTALLED)
	$(BIN)/ruff check

format: $(INSTALLED)
	$(BIN)/ruff format --check

types: $(INSTALLED)
	$(BIN)/mypy

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(AIRFLOW_HOME) build dist .pytest_cache .mypy_cache .ruff_cache
