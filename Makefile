# Needs python3 (3.10 to 3.13, with the venv module) and make; everything else is installed into .venv.
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu    torch without CUDA: a much smaller download on Linux
#   make test PYTEST_ARGS="-k march --arch vulkan" WORKERS=0      options for pytest, and all of it in one process
#   make fuzz FUZZ_ARGS="mesh_obj photos --inputs 1000"          readers and options for tests/fuzzing
#   make soak SOAK_ARGS="--steps 2000 --meshes 20"                less of it
#   make bench BENCH_ARGS="hash --arch cpu --arch vulkan"         cases and options for tidr bench

PYTHON ?= python3
TORCH_INDEX ?=
TIDR_TEST_DATA ?= $(CURDIR)/../shared/data
DEMO ?= runs/demo
PYTEST_ARGS ?=
WORKERS ?= 2
BENCH_ARGS ?=
FUZZ_ARGS ?=
export TIDR_TEST_DATA
# Without byte code every process that a test starts compiles torch again, for seconds.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
RUN := $(VENV)/bin/python
# Compiling what is never imported takes longer than the rest of the installation.
INSTALL := $(RUN) -m pip --quiet --quiet --disable-pip-version-check install --no-compile -c constraints.txt
# In the order of conftest.py, a file's tests in one process: they share fits.
PYTEST := $(RUN) -m pytest --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder
SOURCES := taichi_idr kernels cli tests examples benchmarks

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check fuzz torture soak bench clean

help:
	@echo "make demo       render a capture, fit, mesh and evaluate it: $(DEMO)/report/index.html"
	@echo "make test       the tests that take minutes together"
	@echo "make test-slow  the slow ones too: whole fits"
	@echo "make check      style, types, import contracts"
	@echo "make fuzz       10,000 damaged files for every reader: hours"
	@echo "make torture    200 kills, 300 failing calls of the system: what is left is read"
	@echo "make soak       memory over 20,000 steps, 200 meshes, 300 renderings"
	@echo "make bench      every kernel beside its plain torch twin (benchmarks/README.md)"
	@echo "make clean      remove caches and what was built; .venv and runs stay"

demo: $(VENV)/.stamp
	$(RUN) -m taichi_idr demo --out "$(DEMO)"

test: $(VENV)/.stamp-dev
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/.stamp-dev
	$(PYTEST) $(PYTEST_ARGS)

check: $(VENV)/.stamp-dev
	$(RUN) -m ruff check $(SOURCES)
	$(RUN) -m pyright --pythonpath $(RUN)
	$(VENV)/bin/lint-imports

fuzz: $(VENV)/.stamp-dev
	cd tests && ../$(RUN) -m fuzzing $(FUZZ_ARGS)

torture: $(VENV)/.stamp-dev
	cd tests && ../$(RUN) torture.py $(TORTURE_ARGS)

soak: $(VENV)/.stamp-dev
	$(RUN) benchmarks/soak.py $(SOAK_ARGS)

bench: $(VENV)/.stamp-dev
	$(RUN) -m taichi_idr bench $(BENCH_ARGS)

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path "./$(VENV)" -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/pip:
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))" || \
		{ echo "make: $(PYTHON) is missing or not 3.10 to 3.13 (taichi has no wheels for others); set PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" || \
		{ echo "make: $(PYTHON) comes without venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# With an index of its own, torch is installed before the package, so that no other index can offer it a larger build.
$(VENV)/.torch: constraints.txt | $(VENV)/bin/pip
	$(if $(TORCH_INDEX),$(INSTALL) --index-url "$(TORCH_INDEX)" torch)
	@touch $@

$(VENV)/.stamp: pyproject.toml constraints.txt $(VENV)/.torch
	$(INSTALL) -e .
	@ENABLE_TAICHI_HEADER_PRINT=0 $(RUN) -W ignore -c "import taichi"  # compiled here, its escapes warn nobody later
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp
	$(INSTALL) -e ".[dev,photos,masks,las,usd,view,batch]"
	@touch $@
