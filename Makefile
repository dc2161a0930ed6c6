# Everything a person types. `make setup` once, then `make demo`, `make test`.
# PYTHON: the interpreter to build .venv with. TORCH: what to give pip as PyTorch; `cpu` is its smaller build for CPUs.
PYTHON ?= python3
VENV ?= .venv
# PYTHON39: a Python 3.9 for make setup-caffe2, which else looks for python3.9, pyenv's and uv's.
PYTHON39 ?=
CAFFE2_VENV ?= .venv-caffe2
DEMO ?= demo_output
SITE ?= build/site

RUN = $(VENV)/bin/python
STAMP = $(VENV)/.ready
DEV_STAMP = $(VENV)/.ready-dev
DOCS_STAMP = $(VENV)/.ready-docs
PIP = $(RUN) -m pip install --quiet --disable-pip-version-check
# By default what .venv was built with, which its stamp says. Given another one, it is built again.
PYTORCH = torch==2.13.0
PYTORCH_CPU = $(PYTORCH) --index-url https://download.pytorch.org/whl/cpu
INSTALLED_TORCH := $(shell cat $(STAMP) 2>/dev/null)
TORCH ?= $(or $(INSTALLED_TORCH),$(PYTORCH))
TORCH_GIVEN := $(if $(filter-out file,$(origin TORCH)),1)
ifeq ($(strip $(TORCH)),cpu)
override TORCH := $(PYTORCH_CPU)
endif
REBUILT := $(if $(TORCH_GIVEN),$(if $(INSTALLED_TORCH),$(if $(filter-out $(INSTALLED_TORCH),$(TORCH))$(filter-out $(TORCH),$(INSTALLED_TORCH)),FORCE)))
# venv --clear follows a link, and would empty the environment of another checkout.
NOT_A_LINK = @[ ! -L $(1) ] || { echo "error: $(1) is a link, and what it leads to would be built again; \
	    run make where it leads, or remove the link" >&2; exit 2; }
CAFFE2_RUN = $(CAFFE2_VENV)/bin/python
CAFFE2_STAMP = $(CAFFE2_VENV)/.ready
OPS_LIBRARY = build/ops/libvmz_ops.so
OPS_SOURCES = $(shell find ops -type f -not -path 'ops/tests/*')
# Where Python 3.9, torch 1.10.2 and old numpy and protobuf can tell, and Caffe2 itself; of the tools what runs on it.
CAFFE2_TESTS = $(addprefix tests/,netdef checkpoints layouts audio video engines ops results report evaluation training features datasets inspection cli processes matrix docker \
	prediction serve model export finetuning \
	operators legacy mends test_stopping.py campaign/test_runs.py)
# Several tests at a time: most of them wait for processes that they start.
SEVERAL = -n auto --maxprocesses=4 --dist=worksteal
CAFFE2_TOOL_TESTS = tests/tools -k "caffe2 or compare"
# Of a person's run in the second environment: what needs Caffe2. CI runs all of it there.
CAFFE2_ALONE = $(if $(CI),,-k "caffe2 or ops or operators or legacy or mends")

# make campaign: files in all, kills of each writer, clips of the soak, and the seed of what is drawn.
CAMPAIGN_INPUTS ?= 10000
CAMPAIGN_KILLS ?= 50
CAMPAIGN_CLIPS ?= 100000
CAMPAIGN_SEED ?= 1
CAMPAIGN = PYTHONPATH=lib:. OMP_NUM_THREADS=1 $(RUN) -W ignore -m tests.campaign --seed=$(CAMPAIGN_SEED)

.PHONY: help setup setup-dev setup-caffe2 ops lock lock-caffe2 lock-torch lock-peers bench-peers demo demo-train demo-sound docs test test-torch test-caffe2 \
	test-all campaign campaign-short sanitize lint format clean FORCE

help:
	@echo "make setup     a virtual environment in $(VENV) with PyTorch, PyAV and VMZ; TORCH=cpu: PyTorch's smaller build for CPUs"
	@echo "make setup-dev what tests and lint need, in the same one; make test and make lint do it first"
	@echo "make setup-caffe2  the second one, $(CAFFE2_VENV), with real Caffe2 (Python 3.9, 900 MB), and our operators for it"
	@echo "make demo      synthesise videos, make an LMDB, evaluate the demo network on it"
	@echo "make demo-train  train the demo network from scratch on synthesised videos, evaluate it on every engine here"
	@echo "make demo-sound  train a network that sees and hears on synthesised videos, plainly and with Gradient-Blending"
	@echo "make test      the tests (about a quarter of an hour, in both environments); make test-all: the long ones too"
	@echo "make campaign  damaged files, killed runs and a soak in both environments (docs/internals/reliability.md); campaign-short"
	@echo "make sanitize  the C++ core under sanitizers, on damaged files"
	@echo "make bench-peers  what benchmarks/ measures VMZ against, into $(VENV) (docs/internals/performance.md)"
	@echo "make docs      the documentation as a site, in $(SITE)"
	@echo "make lint      ruff, mypy and import-linter; make format: ruff rewrites"
	@echo "make clean     remove $(DEMO) and caches (not $(VENV))"

setup: $(STAMP)

$(STAMP): pyproject.toml setup.py requirements-torch.txt $(REBUILT)
	$(call NOT_A_LINK,$(VENV))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	    { echo "error: $(PYTHON) is not Python 3.10 or later; name one that is: make setup PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "error: $(PYTHON) has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	@TORCH_GIVEN='$(TORCH_GIVEN)' scripts/setup/suggest_cpu.sh
	$(PYTHON) -m venv $(if $(REBUILT),--clear) $(VENV)
	$(PIP) --require-hashes -r requirements-torch.txt
	$(PIP) $(TORCH)
	$(PIP) --no-deps --no-build-isolation -e .
	@echo '$(TORCH)' >$@

# No stamp: pip has nothing to do the second time. --no-deps: the peers use the PyTorch and NumPy that are there.
bench-peers: $(DEV_STAMP)
	$(PIP) --require-hashes --no-deps -r benchmarks/requirements-peers.txt

setup-dev: $(DEV_STAMP)

# --no-deps: the locks are whole, and torchvision may be of another build of PyTorch (tests/layouts/packages.py).
# --no-build-isolation: pytorchvideo, fvcore and iopath come as source only, and setuptools is locked too.
$(DEV_STAMP): $(STAMP) requirements-dev.txt
	$(PIP) --require-hashes --no-deps --no-build-isolation -r requirements-torch.txt -r requirements-dev.txt
	@touch $@

$(DOCS_STAMP): $(STAMP) requirements-docs.txt
	$(PIP) --require-hashes -r requirements-docs.txt
	@touch $@

# The environment serves without the operators too: everything but VideoInput and LMDB inside Caffe2.
setup-caffe2: $(CAFFE2_STAMP)
	@missing="$$(scripts/caffe2/missing_packages.sh)"; if [ -z "$$missing" ]; then $(MAKE) --no-print-directory ops; else \
	    echo "The operator library was not built: apt-get install $$missing, then make setup-caffe2 again." >&2; fi

$(CAFFE2_STAMP): requirements.txt requirements-test.txt pyproject.toml
	$(call NOT_A_LINK,$(CAFFE2_VENV))
	@python="$$(PYTHON39='$(PYTHON39)' scripts/caffe2/find_python39.sh)" || exit 2; \
	    echo "$$python -m venv $(CAFFE2_VENV)"; "$$python" -m venv --clear $(CAFFE2_VENV)
	$(CAFFE2_RUN) -m pip install --quiet --disable-pip-version-check --require-hashes \
	    -r requirements.txt -r requirements-test.txt
	$(CAFFE2_RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

ops: $(OPS_LIBRARY)

$(OPS_LIBRARY): $(CAFFE2_STAMP) $(OPS_SOURCES)
	PYTHON=$(CAFFE2_RUN) ops/build.sh build/ops
	@touch $@

# uv pip compile, from the package uv; it writes the newest versions that pyproject.toml and the .in files allow.
LOCK = uv pip compile --upgrade --generate-hashes --allow-unsafe --no-annotate --custom-compile-command "make $@"
LINUX = --python-platform x86_64-manylinux_2_28
NOT_LOCKED = --no-emit-package triton $(NOT_LOCKED_DEV)
# The tests have Triton: its interpreter runs the kernels on a CPU.
NOT_LOCKED_DEV = --no-emit-package torch $(shell sed -nE 's/^((nvidia|cuda)[a-z0-9-]*)==.*/--no-emit-package \1/p' \
	docker/torch-requirements-cuda.txt)

# What a lock has for every system and version; what it has for some only, the next one may need for others.
without = $$(sed -nE 's/^([a-z0-9-]+)==[^ ;]+ \\$$/--no-emit-package \1/p' $(1))

lock: lock-caffe2 lock-torch lock-peers

lock-caffe2:
	$(LOCK) $(LINUX) --python-version 3.9 -o requirements.txt requirements.in
	$(LOCK) $(LINUX) --python-version 3.9 -c requirements.txt -o requirements-test.txt requirements-test.in

# Those of make setup, make test and make docs, for any system and Python 3.10 or later, and the images' own, of
# docker/torch.Dockerfile. PyTorch's builds for CPUs and GPUs are other files of one version, so the first are without it
# and CUDA's packages, which PyTorch pins itself. What one lock has, the next does not repeat.
ANY = --universal --python-version 3.10
lock-torch:
	$(LOCK) $(ANY) --extra guide $(NOT_LOCKED) -o requirements-torch.txt pyproject.toml requirements-torch.in
	$(LOCK) $(ANY) --extra dev $(NOT_LOCKED_DEV) $(call without,requirements-torch.txt) \
	    -c requirements-torch.in -c requirements-torch.txt -o requirements-dev.txt pyproject.toml requirements-dev.in
	$(LOCK) $(ANY) --extra docs $(NOT_LOCKED) $(call without,requirements-torch.txt) \
	    -c requirements-torch.in -c requirements-torch.txt -c requirements-dev.txt -o requirements-docs.txt pyproject.toml
	$(LOCK) $(LINUX) --python-version 3.11 -o docker/torch-requirements-cuda.txt docker/torch-requirements.in
	$(LOCK) $(LINUX) --python-version 3.11 --extra-index-url https://download.pytorch.org/whl/cpu \
	    --index-strategy unsafe-best-match -c docker/torch-requirements-cuda.txt \
	    -o docker/torch-requirements-cpu.txt docker/torch-requirements-cpu.in

lock-peers:
	$(LOCK) $(LINUX) --python-version 3.11 --no-deps -o benchmarks/requirements-peers.txt benchmarks/requirements-peers.in

demo: $(STAMP)
	PYTHON=$(RUN) CAFFE2_PYTHON=$(CAFFE2_RUN) scripts/demo/run.sh $(DEMO)

demo-train: $(STAMP)
	PYTHON=$(RUN) CAFFE2_PYTHON=$(CAFFE2_RUN) scripts/demo/train_run.sh $(DEMO)

# ENGINE=caffe2: trained on Caffe2.
demo-sound: $(STAMP)
	PYTHON=$(RUN) CAFFE2_PYTHON=$(CAFFE2_RUN) scripts/demo/sound_run.sh $(DEMO) $(or $(ENGINE),pytorch)

# Links that lead nowhere and names that are not there are errors.
docs: $(DOCS_STAMP)
	$(RUN) scripts/docs/build.py --output $(SITE)

test: test-torch test-caffe2

test-torch: $(DEV_STAMP)
	$(RUN) -m pytest $(SEVERAL)

# In the second environment; a loud line where there is none, and a failure in CI.
test-caffe2:
	@if [ -e $(CAFFE2_STAMP) ]; then \
	    $(CAFFE2_RUN) -m pytest $(SEVERAL) $(CAFFE2_TESTS) $(CAFFE2_ALONE) && \
	    $(CAFFE2_RUN) -m pytest $(SEVERAL) $(CAFFE2_TOOL_TESTS); else \
	    why="$$(PYTHON39='$(PYTHON39)' scripts/caffe2/find_python39.sh 2>&1 >/dev/null)" && \
	        why="there is no $(CAFFE2_VENV); run make setup-caffe2 to create it"; \
	    echo "*** NOT TESTED on real Caffe2: $${why#error: }" >&2; [ -z "$$CI" ]; fi

test-all: $(DEV_STAMP)
	$(RUN) -m pytest -m 'slow or not slow'

campaign: $(DEV_STAMP)
	$(CAMPAIGN) --inputs=$(CAMPAIGN_INPUTS) --kills=$(CAMPAIGN_KILLS) --clips=$(CAMPAIGN_CLIPS) \
	    --output=build/campaign.json

# For CI, meant to take under three minutes on two free cores. The kills of runs have tests of their own.
campaign-short: $(DEV_STAMP)
	$(CAMPAIGN) --inputs=1000 --kills=0 --clips=3000

sanitize: $(DEV_STAMP)
	PYTHON=$(RUN) ops/sanitize.sh

lint: $(DEV_STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	PYTHONPATH=lib $(VENV)/bin/lint-imports --no-cache

format: $(DEV_STAMP)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf $(DEMO) .pytest_cache .mypy_cache .ruff_cache
