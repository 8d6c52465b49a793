# make setup     create .venv (does nothing if it is up to date)
# make demo      run the shipped study of shortcuts
# make test      lint, types, import contracts, tests
# make lint      the same without the tests
# make format    let ruff fix what it can
# make pins      write the versions in .venv to constraints.txt
# make audit     look up known vulnerabilities of every pinned version (needs the network; fails if a look-up fails)
# make clean     remove .venv and files left by the tools

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format pins audit clean

help:
	@sed -n 's/^# make /make /p' Makefile

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	  || { echo "resnet-space needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is another; name one: make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv || true
	$(BIN)/uv pip install --compile-bytecode -p $(BIN)/python -c constraints.txt -e '.[dev]' \
	  || { echo "uv could not install; trying pip" >&2; \
	       $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'; }
	@touch $@

demo: $(STAMP)
	$(BIN)/resnet-space run shortcuts --seeds 2 --out runs/demo

test: lint
	$(BIN)/pytest --numprocesses 2 --dist loadgroup

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# torch pins its own nvidia, cuda and triton packages per platform, so they are left out.
pins:
	@{ sed -n '/^#/p' constraints.txt; \
	   $(BIN)/uv pip freeze -p $(BIN)/python --exclude-editable | grep -vE '^(pip|triton|nvidia-.*|cuda-.*)=='; } > constraints.new
	@mv constraints.new constraints.txt
	@touch $(STAMP)

audit: $(STAMP)
	$(BIN)/uv tool run pip-audit --strict --no-deps --disable-pip -r constraints.txt

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
