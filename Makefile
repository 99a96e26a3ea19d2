# `make demo` and `make test` do all set-up on a machine with Python 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= dev

# What the browser tests judge accessibility by, from npm.
AXE_VERSION := 4.14.1

# Where it is set, every process compiles torch and the tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test package slow browser lint format types site docs

demo: $(VENV)/installed
	$(BIN)/mgaudit run

# One process a core, each with one thread.
test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# Installs the package in environments of its own, one of them with another package called `reports`.
package: $(VENV)/installed
	$(BIN)/python -m pytest -m slow -rs tests/test_packaging.py

# Prints the tables of docs/validation.md. The CIFAR-10 tests read the image folder that MGAUDIT_CIFAR10 names.
slow: $(VENV)/installed
	$(BIN)/python -m pytest -m "slow or cifar" -s

# The tests of the HTML report in Chromium. Where Chromium or axe-core is missing they are skipped and say so.
browser: $(VENV)/installed
	-grep -qs '"version": "$(AXE_VERSION)"' node_modules/axe-core/package.json || npm install --no-save \
	  --no-package-lock --no-audit --no-fund --fetch-retries 1 --fetch-timeout 60000 --prefix . axe-core@$(AXE_VERSION)
	$(BIN)/python -m pytest -m browser -rs -n 2 --dist loadfile $$(grep -rl --include="*.py" "mark.browser" tests)

lint: format types

format: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

# Builds the site in site/.
site: $(VENV)/installed
	$(BIN)/python -c "import mkdocs, mkdocstrings" 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Builds the site, and checks that no page loads anything from another host.
docs: site
	MGAUDIT_SITE=site $(BIN)/python -m pytest -q tests/docs/test_site.py

# Python compiles a module when it is first imported: a third of those that pip would compile.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@
