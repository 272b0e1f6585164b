# Two commands for a fresh machine: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3.11
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint clean
help:
	@echo "make demo   set up, draw toy people, train, test and infer (about five minutes)"
	@echo "make test   set up and run the tests"
	@echo "make setup  only build or update $(VENV)"
	@echo "make lint   check style with ruff"
	@echo "make clean  remove what these made, but never work_dirs, where your training is"

setup: $(STAMP)

# The stamp is written last: an interrupted set-up is taken up again where pip left it.
$(STAMP): requirements/torch.txt requirements/lock.txt setup.py
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
test: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) $(ARGS)

lint: setup
	@$(BIN)/ruff check .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache data/toy
