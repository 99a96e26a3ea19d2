# `make demo` and `make test` do all set-up on a machine with Python 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test slow lint docs

demo: $(VENV)/installed
	$(BIN)/mgaudit run

test: $(VENV)/installed
	$(BIN)/python -m pytest

# Prints the tables of docs/validation.md. The CIFAR-10 tests read the image folder that MGAUDIT_CIFAR10 names.
slow: $(VENV)/installed
	$(BIN)/python -m pytest -m "slow or cifar" -s

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/mkdocs build --strict

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
