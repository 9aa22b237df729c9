# Everything one does with this project. `make` prints it.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Whole files to a process, in the order that tests/conftest.py gives them: the longest first.
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

# Tests start hundreds of processes, and each would compile Stride anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo up test test-browser test-cpus check chaos sweeps prove bench bench-peers

help:  ## Print this
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "  make %-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Make .venv with everything in it, if pyproject.toml or constraints.txt changed

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Stride needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make install PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	@touch $@

demo: install  ## Run grid, random and bayesian search on digits, and compare their answers; under a minute after the install
	$(BIN)/python examples/demo.py

up: install  ## Run PostgreSQL, the API and two workers, until Ctrl-C
	$(BIN)/stride up

test: install  ## Run the tests
	@# The two minutes of chaos leave cores idle, and so does what waits for processes: pure functions, which nothing waits for,
	@# take only that.
	@# Threads that wait for others let go of the core: by default they spin, more of them the more processes there are.
	@export OMP_WAIT_POLICY=passive OPENBLAS_THREAD_TIMEOUT=4; logs=$$(mktemp -d); \
	$(PYTEST) tests/chaos/test_chaos.py >$$logs/chaos 2>&1 & chaos=$$!; \
	nice -n 19 $(PYTEST) -n 2 --timeout 600 tests/unit >$$logs/unit 2>&1 & unit=$$!; \
	nice -n 5 $(PYTEST) -n 4 --ignore=tests/unit --ignore=tests/browser --ignore=tests/chaos/test_chaos.py; rest=$$?; \
	wait $$chaos; chaos=$$?; wait $$unit; unit=$$?; cat $$logs/chaos $$logs/unit; rm -r $$logs; exit $$((rest | chaos | unit))

test-browser: install  ## Run the tests in a browser; needs Chromium
	@test -n "$(CHROMIUM)" || { echo "Chromium is missing: apt-get install chromium (Debian, Ubuntu), or brew install chromium" >&2; exit 1; }
	$(BIN)/python -m pytest -m browser tests/browser

test-cpus: install  ## Run the unit tests of objectives and answers under every instruction set, with one and two threads
	$(BIN)/python -m tests.cpus

check: install  ## Check style, types, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: install  ## Inject the faults of SEED=1 into a running service for MINUTES=2, and compare with a calm run; LONG=1: disk and clock too
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),2) --seed $(or $(SEED),1) $(if $(LONG),--long)

sweeps: install  ## Record training at every rate of small tables, on which answers are judged; delete a table to record it again
	$(BIN)/python -m benchmarks.record_tables

prove: install  ## Prove the figures that take minutes, such as what objectives reach and how often answers hold; all, or PARTS="reached chaos"
	$(BIN)/python -m benchmarks.prove $(PARTS)

bench: install  ## Measure against stock Optuna; prints tables
	$(BIN)/python -m benchmarks.dispatch
	$(BIN)/python -m benchmarks.whole_service

bench-peers: install  ## The whole service beside a stock Optuna script and Ray Tune, which gets an environment of its own
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet 'ray[tune]==2.60.0'
	$(BIN)/python -m benchmarks.whole_service --ray .venv-peers/bin/python --out benchmarks/results
