# One word a task; `make` alone lists them. Each verb that needs the environment makes it first.

PYTHON ?= python3
ENGINE ?= sail

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest --durations=10
ON_SAIL := $(PYTEST) --engine sail --numprocesses auto --dist loadfile --no-loadscope-reorder

ifeq ($(SLOW),no)
REST_ON_SAIL := long and not essential and not slow
REST_ON_SPARK := -m "engine and not essential and not slow and not long_on_spark"
else
REST_ON_SAIL := slow or (long and not essential)
REST_ON_SPARK := --all -m "engine and (slow or long_on_spark or not essential)"
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo cluster-demo quick test test-all check bench bench-large notebook dist lock clean FORCE
MAKEFLAGS += --no-print-directory

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with everything in it (PYTHON=python3.12 chooses another Python)
	@echo "setup: $(VENV) is ready"

demo: $(READY) ## raw files to a star schema and back in time, in a minute (ENGINE=spark: all on Spark)
	@$(BIN)/python -m runtime.demo --engine $(ENGINE)

cluster-demo: $(READY) dist ## the same gold on a real Spark cluster: a master, two workers, spark-submit (needs Java)
	@$(BIN)/python -m runtime.demo.cluster_demo

# Two processes: a third would import all test modules again, for tests that wait for nothing.
quick: $(READY) ## the tests that start no engine and no process, in under a minute
	@$(ON_SAIL) --numprocesses 2 -m quick

# Both engines run even when the first fails: one report a change, not two. Sail's tests share the cores, a file
# to a process; Spark takes them all for itself.
test: $(READY) ## the tests of what the README promises: on Sail, and the essentials on Spark where Java is there
	@status=0; \
	$(ON_SAIL) -m "not slow and (essential or not long)" || status=1; \
	$(PYTEST) --engine spark -m "engine and essential and not slow and not long_on_spark" || status=1; \
	exit $$status

test-all: $(READY) ## the tests that make test leaves out, for hours (SLOW=no: without those marked slow; ONLY=sail: on one engine)
	@status=0; \
	$(if $(filter spark,$(ONLY)),,$(ON_SAIL) -m "$(REST_ON_SAIL)" || status=1;) \
	$(if $(filter sail,$(ONLY)),,$(PYTEST) --engine spark $(REST_ON_SPARK) || status=1;) \
	exit $$status

check: $(READY) ## lint, formatting and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

bench: $(READY) ## time the lake beside its peers on 1M events: 15 to 25 minutes on two cores
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m docs.generate

bench-large: $(READY) ## the same day onto 1M, 10M and 30M events; says its time and disk first
	@$(BIN)/python -m benchmarks --large
	@$(BIN)/python -m docs.generate

# In a container one is root, as whom JupyterLab starts only if it is told to; for others the word means nothing.
notebook: $(READY) ## open the notebook in JupyterLab
	@$(BIN)/python -m jupyterlab --allow-root notebooks/explore.ipynb

dist: $(READY) ## build a wheel into dist/, and the same as a zip for spark-submit's --py-files
	@rm -rf build
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@rm -rf build
	@cp "$$(ls -t dist/*.whl | head -n 1)" dist/sparkify-lakehouse.zip
	@ls dist/*.whl dist/*.zip

# Resolved on the oldest Python we support: what only that one needs is then pinned too, and the rest holds on newer ones.
lock: $(READY) ## pin every dependency anew in requirements.lock (on Python 3.11)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	    { echo "lock: .venv must be of Python 3.11: make clean, then make lock PYTHON=python3.11" >&2; exit 1; }
	@CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/python -m piptools compile --quiet --upgrade --all-extras --strip-extras \
	    --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	    --output-file requirements.lock pyproject.toml

clean: ## remove .venv, data/ (the lake too), caches and dist/
	@rm -rf $(VENV) data build dist *.egg-info spark-warehouse metastore_db derby.log artifacts
	@rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache
	@find . -name .git -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

# The stamp goes before pip starts and comes back after it ends: an interrupted setup begins anew.
# The build of PySpark's sdist honours the lock only through the environment: pip >= 25.3 reads the second name, older the first.
# Compiling on all cores after pip takes 15 s less than pip's own; templates in packages do not compile, hence `|| :`.
$(READY): pyproject.toml requirements.lock $(if $(wildcard $(BIN)/python),,FORCE)
	@"$(PYTHON)" -c '' || \
	    { echo "setup: $(PYTHON) does not start: install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "setup: $$("$(PYTHON)" --version 2>&1) is too old, 3.11 is the least: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "setup: $(PYTHON) cannot make environments; on Debian and Ubuntu: apt-get install" \
	      "$$("$(PYTHON)" -c 'import sys; print("python3-venv" if sys.executable == "/usr/bin/python3" else "python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; }
	@if [ ! -f $@ ] || [ ! -x $(BIN)/python ]; then "$(PYTHON)" -m venv --clear $(VENV); fi
	@rm -f $@
	@echo "setup: installing PySpark, Delta Lake and the tools into $(VENV); this takes a minute or two"
	@PYTHONWARNINGS=ignore PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock \
	    $(BIN)/python -m pip install --quiet --no-compile --use-pep517 --disable-pip-version-check \
	    --editable '.[aws,dev,notebook,postgres,report]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || :
	@touch $@
