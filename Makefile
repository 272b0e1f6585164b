# Two commands for a fresh machine: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3.11
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Environments over .venv, one for each requirements/NAME.txt: what does not live together, or
# belongs to no user's installation.
ENVS := .venvs
REPORTS := .reports

.PHONY: help setup demo test test-all test-slow lint docs matrix wheels clean
help:
	@echo "make demo      set up, draw toy people, train, test and infer (about five minutes)"
	@echo "make test      set up and run the tests"
	@echo "make test-all  run what it leaves out: slow tests, ONNX, OpenVINO, 8 bits, peers, docs"
	@echo "make lint      check style with ruff and types with mypy"
	@echo "make docs      build the documentation site into build/docs"
	@echo "make matrix    run with other versions of Python, torch and numpy; SETS=... for some"
	@echo "make wheels    the packages for a machine without an index, in build/wheels"
	@echo "make setup     only build or update $(VENV)"
	@echo "make clean     remove what these made, but never work_dirs, where your training is"

setup: $(STAMP)

# The stamp is written last: an interrupted set-up is taken up again where pip left it.
$(STAMP): requirements/torch.txt requirements/lock.txt pyproject.toml setup.py
	@echo "==> [1/4] virtual environment $(VENV)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
		{ echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "==> [2/4] torch (the largest download)"
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements/torch.txt -c requirements/lock.txt
	@echo "==> [3/4] OpenMMLab and the rest of the tested set"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r requirements/lock.txt
	@echo "==> [4/4] refinepose_mm"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/refinepose demo

# One thread per worker: more would fight over the cores.
pytest = PATH="$(CURDIR)/$(1)/bin:$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 \
	$(1)/bin/python -m pytest -n $(JOBS) --junitxml $(REPORTS)/$(2).xml

test: setup
	@$(call pytest,$(VENV),test) $(ARGS)

# What runs in each environment. A test that is skipped there and everywhere else fails the check.
# -m '': the slow ones, too, for some of them need OpenVINO.
TESTS_export := -m '' tests/deploy tests/codecs tests/fuzz tests/test_bundled.py tests/test_golden.py \
	tests/test_commands.py
TESTS_peers_timm := tests/weights tests/test_hub.py
TESTS_peers_transformers := tests/projects/test_peers.py tests/weights
TESTS_peers_mmpretrain := tests/weights tests/test_benchmark.py
TESTS_peers_mmdeploy := tests/projects/test_mmdeploy.py
PACKAGES := export peers_timm peers_transformers peers_mmpretrain peers_mmdeploy

test-all: test-slow $(PACKAGES:%=test-%) docs
	@$(BIN)/python tests/check_skips.py $(REPORTS)/*.xml

test-slow: setup
	@echo "==> slow tests"
	@$(call pytest,$(VENV),slow) -m slow --ignore tests/deploy --ignore tests/fuzz

$(PACKAGES:%=test-%): test-%: $(ENVS)/%/.installed
	@echo "==> tests in $(ENVS)/$*"
	@$(call pytest,$(ENVS)/$*,$*) $(TESTS_$*)

$(ENVS)/peers_mmpretrain/.installed $(ENVS)/peers_mmdeploy/.installed: PIP_FLAGS := --no-deps
$(ENVS)/export/.installed: ALONE := requirements/rtmlib.txt requirements/browser.txt
$(ENVS)/export/.installed: requirements/rtmlib.txt requirements/browser.txt
$(ENVS)/%/.installed: requirements/%.txt requirements/lock.txt requirements/layer.py $(STAMP)
	@echo "==> environment $(@D)"
	@$(BIN)/python requirements/layer.py $(@D)
	@$(@D)/bin/python -m pip install --disable-pip-version-check $(PIP_FLAGS) -r requirements/$*.txt -c requirements/lock.txt
	@$(if $(ALONE),$(@D)/bin/python -m pip install --disable-pip-version-check --no-deps $(ALONE:%=-r %))
	@touch $@

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# The site runs the bundled model in the browser if the environment for export is there, and npm.
docs: $(ENVS)/docs/.installed
	@$(BIN)/python docs/hooks/config_index.py
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(ENVS)/docs/bin/python -m mkdocs build --strict

# Needs python3.9 to python3.13 in PATH and tens of gigabytes: no part of the tests.
matrix:
	@python3 requirements/matrix.py $(SETS)

# For machines without a package index; torch is there already. Their Python must be of this version:
# make wheels PYTHON=python3.12
wheels:
	@$(PYTHON) -m pip wheel --disable-pip-version-check --no-deps -w build/wheels -r requirements/lock.txt

clean:
	rm -rf $(VENV) $(ENVS) $(REPORTS) build *.egg-info .pytest_cache .ruff_cache .mypy_cache data/toy
