# make demo   set up, train on real data, show the front
# make test   set up, lint, check types, run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Processes that share the tests, file by file; each wants about 1 GB.
WORKERS ?= 2

.PHONY: demo test test-slow fuzz lint format bench clean

demo: $(READY)
	$(BIN)/python -m benchmarks.demo

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not network"

test-slow: $(READY)
	$(BIN)/python -m pytest -m "slow or network"

fuzz: $(READY)
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest tests/rankers/test_fuzz.py tests/rankers/test_determinism.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy docs/examples/serve.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks.quick_front

$(READY): pyproject.toml constraints-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hyperrank needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-dev.txt -e ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) build dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
