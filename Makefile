# Scrubjay on a machine with Python 3.11 or later, make, and a package index: `make run`.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
	done)
# Those that need nothing but this tree; CONTRIBUTING.md tells of the others.
BENCHMARKS := context plugins recall_own recall_scale research storage terminal tui
OURS := tui engine storage assets
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := install --require-hashes --requirement
RUNTIME := $(VENV)/installed
DEV := $(VENV)/installed-dev
DOCS := $(VENV)/docs
RELEASE := $(VENV)/release
# Models that are here already need not be fetched for `make dev`.
MODELS = $(shell $(BIN)/python -c "import engine.config as c; print(c.find_paths().models_dir)")

.DEFAULT_GOAL := help
.PHONY: help setup run dev console test bench soak lint format lock licences sbom fuzz pictures reference docs docs-serve \
	release-check clean

help:
	@echo "make run       open Scrubjay (sets up first)        ARGS='ask hello' for a command"
	@echo "make dev       open it with styles that are read anew as they are saved; make console beside it"
	@echo "make test      run all tests (sets up first)        ARGS='tests/cli -k ask' for some"
	@echo "make setup     install into $(VENV)"
	@echo "make lint      check style, types and imports       make format  to put the style right"
	@echo "make bench     measure, and print JSON"
	@echo "make soak      use the app at random for 10 minutes    ARGS='--minutes 2 --seed 7'"
	@echo "make lock      resolve the dependencies anew        make licences  to list their licences"
	@echo "make sbom      print a software bill of materials (CycloneDX)"
	@echo "make fuzz      look for text that does harm, for 10 minutes    ARGS='-max_total_time=60'"
	@echo "make pictures  draw the pictures of the README and the documentation"
	@echo "make docs      build the documentation into build/site    make docs-serve  to read it"
	@echo "make reference write its reference, the manual page and the schemas from the code"
	@echo "make release-check            could a release be made of what is committed?"
	@echo "make clean     delete $(VENV) and what tools leave behind"

setup: $(RUNTIME)

run: $(RUNTIME)
	@$(BIN)/python -m compileall -q $(OURS)
	@$(BIN)/scrubjay $(ARGS)

# In a home of its own, so that nobody's conversations are touched.
dev: $(DEV)
	@SCRUBJAY_CONFIG_DIR=build/dev/config SCRUBJAY_DATA_DIR=build/dev/data \
		SCRUBJAY_STATE_DIR=build/dev/state SCRUBJAY_MODELS_DIR=$(MODELS) \
		TEXTUAL=debug,devtools $(BIN)/scrubjay $(ARGS)

console: $(DEV)
	@$(BIN)/textual console $(ARGS)

test: $(DEV)
	$(BIN)/python -m pytest --numprocesses 2 $(ARGS)

bench: $(DEV)
	@for name in $(BENCHMARKS); do \
		$(BIN)/python -m tests.benchmarks.$$name --json || exit 1; \
	done

soak: $(DEV)
	$(BIN)/python -m tests.soak $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# uv is wanted for this alone, so it is no dependency.
lock: $(DEV)
	$(PIP) install --quiet uv
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --universal \
		--python-version 3.11 --generate-hashes --no-annotate --quiet --upgrade --group build \
		--output-file requirements.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --universal \
		--python-version 3.11 --generate-hashes --no-annotate --quiet --group dev \
		--constraint requirements.lock --output-file requirements-dev.lock
	$(MAKE) licences

licences: $(DEV)
	$(BIN)/python -m tests.tools.licences

sbom: $(DEV)
	@$(BIN)/python -m tests.tools.sbom

# atheris is wanted for this alone, and has wheels for some Pythons only, so it is no dependency.
fuzz: $(DEV)
	@$(PIP) install --quiet --only-binary atheris 'atheris>=3,<4' || { \
		echo "atheris has no wheel for $$($(BIN)/python --version) on this system."; \
		echo "make test fuzzes too, with hypothesis; for more of it set SCRUBJAY_FUZZ_INPUTS."; \
		exit 1; }
	$(BIN)/python -m tests.fuzz.with_atheris $(ARGS)

pictures: $(DEV)
	$(BIN)/python -m tests.tools.pictures
	$(BIN)/python -m tests.tools.recording

reference: $(DEV)
	$(BIN)/python -m tests.tools.reference
	$(BIN)/python -m tests.tools.manpage
	$(BIN)/python -m tests.tools.session_schema

# Material tells of MkDocs 2 in a banner, which is answered by the pins in pyproject.toml.
docs: $(DOCS)/installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	$(DOCS)/bin/python -m tests.tools.links build/site

docs-serve: $(DOCS)/installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs serve

release-check: $(DEV) $(RELEASE)/installed
	$(BIN)/python -m tests.tools.release $(RELEASE) --keep dist $(ARGS)

clean:
	rm -rf $(VENV) build dist .coverage* htmlcov .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache snapshot_report.html
	find $(OURS) tests -name __pycache__ -prune -exec rm -rf {} +

$(RUNTIME): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { \
		echo "Scrubjay needs Python 3.11 or later, and found none."; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; \
		exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || { \
		echo "Making $(VENV) with $$($(PYTHON) --version) …"; \
		$(PYTHON) -m venv --clear $(VENV) || { \
			rm -rf $(VENV); \
			echo "Python's venv module does not work here."; \
			echo "On Debian and Ubuntu: apt install python3-venv"; \
			exit 1; }; }
	@echo "Installing what Scrubjay needs (about 110 MB, once) …"
	@$(PIP) $(LOCKED) requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(RELEASE)/installed: $(RUNTIME) pyproject.toml
	@$(BIN)/python -m venv --clear --without-pip $(RELEASE)
	@$(PIP) --python $(RELEASE)/bin/python install --quiet --group release
	@touch $@

$(DOCS)/installed: $(RUNTIME) pyproject.toml
	@echo "Installing what builds the documentation (about 15 MB, once) …"
	@$(BIN)/python -m venv --clear --without-pip $(DOCS)
	@$(PIP) --python $(DOCS)/bin/python install --quiet --group docs
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo "Installing what the tests need (about 35 MB, once) …"
	@$(PIP) $(LOCKED) requirements-dev.lock
	@touch $@
