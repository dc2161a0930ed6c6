# Everything a person types. `make setup` once, then `make demo`, `make test`.
# PYTHON: the interpreter to build .venv with. TORCH: what to give pip as PyTorch, for example
#   make setup TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"    (Linux without a GPU: a smaller build)
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
DEMO ?= demo_output

RUN = $(VENV)/bin/python
STAMP = $(VENV)/.ready

.PHONY: help setup demo test test-all lint format clean

help:
	@echo "make setup     a virtual environment in $(VENV) with PyTorch, PyAV and VMZ"
	@echo "make demo      synthesise videos, make an LMDB, evaluate the demo network on it"
	@echo "make test      the tests (seconds to a few minutes); make test-all: the long ones too"
	@echo "make lint      ruff and mypy; make format: ruff rewrites"
	@echo "make clean     remove $(DEMO) and caches (not $(VENV))"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	    { echo "error: $(PYTHON) is not Python 3.10 or later; name one that is: make setup PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "error: $(PYTHON) has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)
	PYTHON=$(RUN) scripts/demo/run.sh $(DEMO)

test: $(STAMP)
	$(RUN) -m pytest

test-all: $(STAMP)
	$(RUN) -m pytest -m 'slow or not slow'

lint: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(STAMP)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf $(DEMO) .pytest_cache .mypy_cache .ruff_cache
