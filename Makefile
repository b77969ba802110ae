# make demo    set up, then train on real reviews (the main job)
# make test    set up, then run every test
# make check   lint, types, formatting, and the symbols and loops of the compiled core
# make sanitize  the C++ programs of tests/cpp under sanitizers; SETS=generic leaves the other instruction sets out
# make dev     set up for development: editable install; again after a change in csrc/
# make bench   set up, then measure speed and quality
# make clean   remove what was built; make distclean also removes the environment
#
# Needed: Python 3.11 or newer with its headers, a C++17 compiler, make, git, pip. ARGS="..." is handed to the command.

VENV ?= .venv
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
    $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
    && echo $$python && break; done)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Build tools live in the environment and objects in build/, so that a second build costs what changed. setuptools is for
# snownlp, which PyPI has as source only.
TOOLS := cmake nanobind ninja scikit-build-core setuptools
INSTALL = $(PIP) --no-build-isolation $(if $(EDITABLE),--editable,--config-settings=build-dir=build/wheel-{cache_tag})
# Once `make dev` has made the install editable it stays so.
EDITABLE = $(wildcard $(VENV)/elman-editable)
SOURCES := pyproject.toml CMakeLists.txt constraints.txt README.md LICENSE \
    $(shell find csrc src -type f ! -name '*.pyc' ! -name '.*')

CPP := csrc/*.h csrc/*.cc tests/cpp/*.h tests/cpp/*.cc

unexport PYTHONPATH PYTHONHOME
.NOTPARALLEL:
SANITIZERS = thread address,undefined
.PHONY: demo test check symbols registers sanitize format dev bench clean distclean

demo: $(VENV)/elman-demo
	$(BIN)/elman demo $(ARGS)

# A worker for each core takes file after file, on one thread; the tests that are about threads ask for more.
test: $(VENV)/elman-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile $(ARGS)

check: $(VENV)/elman-dev symbols registers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CPP)

# Code compiled for one instruction set must not be shared with another: the linker keeps one copy of an inline function,
# and it may be the one that this processor cannot run. So each object file may only define names of its own namespace.
symbols: $(VENV)/elman-dev
	@for set in avx2 avx512 avx512bf16 neon; do \
	    objects=$$(find $(if $(EDITABLE),build/editable,build/wheel-*) -path "*/elman_$$set.dir/*.o") && [ -z "$$objects" ] && continue; \
	    shared=$$(nm --demangle --defined-only $$objects | grep -E ' [A-Zu] ' | grep -vE "elman::$$set::| DW[.]ref[.]"); \
	    [ -z "$$shared" ] || { echo "objects of $$set define names outside elman::$$set:"; echo "$$shared"; exit 1; }; \
	done

# Needed: objdump, which compilers bring along.
registers: $(VENV)/elman-dev
	@objects=$$(find $(if $(EDITABLE),build/editable,build/wheel-*) -path "*/elman_avx*.dir/*.o"); \
	[ -z "$$objects" ] || $(BIN)/python tests/cpp/registers.py $$objects

# Needed: GCC or Clang with their sanitizers, which distributions bring along with the compiler.
sanitize: $(VENV)/elman-tools
	@mkdir -p build/sanitize
	@builds=; for sanitizers in $(SANITIZERS); do \
	    folder=build/sanitize/$${sanitizers%%,*}; \
	    echo "building $$folder (log beside it)"; \
	    { PATH="$(abspath $(BIN)):$$PATH"; cmake -S . -B $$folder -G Ninja -DELMAN_SANITIZE=$$sanitizers \
	        "-DELMAN_SETS=$$(echo $(SETS) | tr ' ' ';')" && cmake --build $$folder; } >$$folder.log 2>&1 || \
	        { cat $$folder.log; exit 1; } & builds="$$builds $$!"; \
	done; for build in $$builds; do wait $$build || exit 1; done
	@for sanitizers in $(SANITIZERS); do \
	    $(BIN)/ctest --test-dir build/sanitize/$${sanitizers%%,*} --output-on-failure || exit 1; \
	done

format: $(VENV)/elman-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CPP)

dev: $(VENV)/elman-tools
	@touch $(VENV)/elman-editable
	@rm -f $(VENV)/elman-dev
	@$(MAKE) --no-print-directory $(VENV)/elman-dev

bench: $(VENV)/elman-bench
	for script in speed inference tutorial latency memory denormals oversubscribed accelerate; do \
	    $(BIN)/python bench/$$script.py $(ARGS) || exit 1; done
	$(BIN)/python bench/cells.py $(filter --write,$(ARGS))
	$(BIN)/python bench/quality.py $(filter --write,$(ARGS))

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f $(VENV)/elman-demo $(VENV)/elman-dev $(VENV)/elman-bench
	find src tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# ------------------------------------------------------------------------------------------------------------ set-up

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.11 or newer with venv was found. Install one (Debian and Ubuntu:" \
	    "python3-venv python3-dev), or name it: make PYTHON=/path/to/python3"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/elman-tools: Makefile constraints.txt | $(VENV)/bin/python
	@echo "installing the build tools"
	@$(PIP) $(TOOLS)
	@touch $@

$(VENV)/elman-demo: $(VENV)/elman-tools $(SOURCES)
	@if [ -n "$$(find $^ -newer $(VENV)/elman-dev 2>&1)" ]; then \
	    echo "building and installing elman and what the demo needs (minutes the first time)"; \
	    $(INSTALL) '.[demo,plot]' || exit 1; \
	fi # else the tests' set-up has brought it all
	@touch $@

$(VENV)/elman-dev: $(VENV)/elman-tools $(SOURCES)
	@echo "building and installing elman and what its tests need (minutes the first time)"
	@$(INSTALL) '.[dev]'
	@touch $@

$(VENV)/elman-bench: $(VENV)/elman-tools $(SOURCES) bench/constraints.txt
	@echo "building and installing elman and the peers it is measured against"
	@$(INSTALL) --constraint bench/constraints.txt '.[bench,demo,plot]'
	@touch $@
