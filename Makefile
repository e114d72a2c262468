# Everything here works in a fresh clone: Python >= 3.11 with venv and headers, make and a C++ compiler
# (Debian: python3-dev python3-venv make g++). CMake comes from PyPI.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
# Test processes: most tests wait for processes and servers.
TESTERS ?= 4

# CMake's development build goes by this; make's own flags are not for the makes that it starts.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
CMAKE := MAKEFLAGS= $(BIN)/cmake
CTEST := $(BIN)/ctest
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest --quiet $(PYTEST_ARGS)

.DEFAULT_GOAL := help
.PHONY: help demo mutants simulate test test-suites test-python test-faults test-builds test-cpp test-packaging \
  bench bench-full bench-peers bench-report wheel docs recording screenshots check lint build clean

help:
	@echo "make demo    a simulated fleet, live: server, workers, rates, and a summary at the end"
	@echo "make test    everything: Python on both cores, C++ under sanitizers, packaging (10 minutes)"
	@echo "make bench   the numbers of this machine, against their targets (10 minutes)"
	@echo "make bench-full   the same with rates held for 30 s and ten million queued (25 minutes)"
	@echo "make bench-peers  other task queues beside ttp, each in an environment of its own (20 minutes)"
	@echo "make bench-report docs/benchmarks.md and the numbers of the README, from the committed runs"
	@echo "make mutants each guard taken out in turn, and the test that notices (6 minutes)"
	@echo "make simulate  10,000 histories on a modelled server and network, each from a seed (10 minutes)"
	@echo "make check   formatting, import order and types, which every commit passes (seconds)"
	@echo "make lint    the same, stubs, pyright and clang-tidy"
	@echo "make wheel   wheels of this machine's CPythons in dist/, repaired and tested"
	@echo "make docs    the documentation as a site, in build/site"
	@echo "make recording  what ttp demo shows, as docs/images/demo.svg"
	@echo "make screenshots  the status page of a fleet at work, as docs/images/status-page-*.png"
	@echo "make build   the native core, in place"
	@echo "make clean   remove what was built, and $(VENV)"
	@echo "PYTHON=python3.12 picks the interpreter that $(VENV) is made with."

# Two stamps: what running needs, and what developing needs as well. Either is renewed when pyproject.toml
# changes. The package is installed in place as it lies in src, without its native core: `build` makes that.
INSTALL = $(PIP) install --config-settings=wheel.cmake=false

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "ttp needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1): try make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys, sysconfig as s; from pathlib import Path; sys.exit(not Path(s.get_path("include"), "Python.h").is_file())' \
	  || { echo "$(PYTHON) has no headers to build the native core with (Debian: apt install python3-dev)" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	@echo "installing ttp and what it needs into $(VENV)"
	@$(INSTALL) 'cmake>=3.21' 'pybind11>=3.1' --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.runtime
	@echo "installing the tools of development into $(VENV)"
	@$(INSTALL) --editable '.[dev]' build pytest-benchmark pytest-xdist
	@touch $@

build: $(VENV)/.runtime
	@echo "building the native core"
	@$(CMAKE) --preset dev --log-level=WARNING -DTTP_BUILD_TESTS=OFF
	@$(CMAKE) --build --preset dev --target _core --parallel $(JOBS) -- --no-print-directory

demo: build
	@echo "running ttp demo"
	@TTP_BACKEND=native $(BIN)/ttp demo

# Tests of Python wait for processes and servers, so compilers have the rest of the cores meanwhile. Make 4 keeps what
# each says together.
TOGETHER := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: $(VENV)/.dev build
	@echo "testing Python on both cores, then injecting faults; meanwhile C++ under sanitizers, and packaging"
	@$(MAKE) --no-print-directory --jobs=2 $(TOGETHER) test-suites test-builds
	@echo "all tests passed"

test-suites:
	@$(MAKE) --no-print-directory test-python
	@$(MAKE) --no-print-directory test-faults

# A core that does not compile, or does not load, fails here and is not hidden by its twin.
test-python: $(VENV)/.dev build
	@echo "checking that imports run one way"
	@$(BIN)/lint-imports
	@$(BIN)/python -c 'from ttp.coordination.server_binary import available as a; print("servers to test on:", *dict.fromkeys(map(str, a())), sep="\n  ")'
	@for backend in native python; do \
	  echo "running the Python tests, TTP_BACKEND=$$backend"; \
	  TTP_BACKEND=$$backend $(PYTEST) -n $(TESTERS) --dist worksteal --ignore=tests/faults --ignore=tests/packaging \
	  || exit 1; \
	done

test-faults: $(VENV)/.dev build
	@echo "injecting faults, and killing workers in mid-drain of a million tasks"
	@TTP_BACKEND=native $(PYTEST) -n $(TESTERS) --dist worksteal tests/faults

test-builds:
	@nice -n 10 $(MAKE) --no-print-directory test-cpp
	@nice -n 10 $(MAKE) --no-print-directory test-packaging

test-cpp: $(VENV)/.runtime
	@for preset in tests asan tsan; do \
	  echo "building and running the C++ tests, preset $$preset"; \
	  $(CMAKE) --preset $$preset --log-level=WARNING \
	  && $(CMAKE) --build --preset $$preset --parallel $(JOBS) -- --no-print-directory \
	  && $(CTEST) --preset $$preset --parallel $(JOBS) \
	  || exit 1; \
	done

test-packaging: $(VENV)/.dev
	@echo "testing installation from the sdist, with and without a compiler"
	@$(PYTEST) tests/packaging

mutants: $(VENV)/.dev build
	@echo "taking out each guard in turn"
	@TTP_BACKEND=native $(BIN)/python tests/faults/mutants.py

simulate: $(VENV)/.dev build
	@echo "simulating histories from 10,000 seeds"
	@TTP_BACKEND=native $(BIN)/python tests/simulation/run.py

bench-full: FULL := --full
bench-full: bench

bench: $(VENV)/.dev build
	@echo "measuring; leave the machine alone meanwhile"
	@$(INSTALL) msgspec ormsgpack
	@TTP_BACKEND=native $(BIN)/python benchmarks/run_all.py $(FULL)

bench-peers: $(VENV)/.dev build
	@echo "measuring other task queues; leave the machine alone meanwhile"
	@TTP_BACKEND=native $(BIN)/python benchmarks/run_peers.py

bench-report: $(VENV)/.runtime
	@$(BIN)/python benchmarks/report.py

wheel: $(BIN)/python
	@echo "building a wheel for each CPython here, against glibc 2.28, and testing it without a compiler"
	@$(BIN)/python deploy/wheels.py

docs: $(VENV)/.runtime
	@echo "building the documentation in build/site"
	@$(INSTALL) --editable '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --clean -f docs/site/mkdocs.yml

recording: build
	@echo "recording the demo"
	@$(INSTALL) --editable '.[docs]'
	@TTP_BACKEND=native $(BIN)/python docs/site/recording.py

screenshots: $(VENV)/.dev build
	@echo "taking pictures of the status page"
	@TTP_BACKEND=native $(BIN)/python docs/site/screenshots.py

check: $(VENV)/.dev
	@echo "checking formatting, imports and types"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/clang-format --dry-run --Werror $$(git ls-files 'csrc/*.hpp' 'csrc/*.cpp')
	@$(BIN)/lint-imports
	@$(BIN)/mypy

lint: check build
	@echo "checking the stub of the native core, and with pyright"
	@MYPYPATH=src $(BIN)/python -m mypy.stubtest ttp.native ttp.app ttp.errors ttp.claims ttp.testing \
	  --mypy-config-file pyproject.toml --allowlist tests/typing/stubtest.txt
	@$(BIN)/pyright
	@echo "compiling with clang-tidy"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(CMAKE) --preset tidy --log-level=WARNING
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(CMAKE) --build --preset tidy --parallel $(JOBS) -- --no-print-directory --keep-going

clean:
	@echo "removing build products and $(VENV)"
	@rm -rf build dist $(VENV) src/ttp/native/_core*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
