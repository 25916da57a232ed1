# make demo   set up, train on real data, show the front
# make test   set up, lint, check types, run the quick tests
# make docs   set up, build the site with its tutorials, warnings as errors
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready
# Processes that share the tests; each needs about 1 GB.
WORKERS ?= 2

.PHONY: demo test test-slow test-versions test-lowest test-highest quick-tests wheel coverage fuzz lint format bench docs clean

demo: $(READY)
	$(BIN)/python -m benchmarks.demo

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not network"

test-slow: $(READY)
	$(BIN)/python -m pytest -m "slow or network"

fuzz: $(READY)
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest tests/rankers/test_fuzz.py tests/rankers/test_determinism.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n $(WORKERS)
	$(BIN)/codespell hyperrank tests benchmarks docs README.md CHANGELOG.md pyproject.toml Makefile

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Quick tests at the lowest and at the highest versions of the dependencies, each in a separate environment.
QUICK := tests/test_*.py tests/metrics tests/losses tests/networks tests/training tests/rankers tests/model_selection tests/datasets
NEEDED := arrow,dask,llm,plot,serve
# Old libraries use what newer ones deprecate.
OLD := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning

test-versions: test-lowest test-highest

test-lowest:
	$(PYTHON) tests/lowest_versions.py > constraints-lowest.txt
	$(MAKE) quick-tests WITH=.venv-lowest CONSTRAINTS=constraints-lowest.txt OPTIONS="$(OLD)"

test-highest:
	$(MAKE) quick-tests WITH=.venv-highest CONSTRAINTS=$(or $(HIGHEST),constraints-dev.txt)

quick-tests:
	$(PYTHON) -m venv --clear $(WITH)
	$(WITH)/bin/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[$(NEEDED)]" -r tests/requirements.txt
	$(WITH)/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not network" $(OPTIONS) $(QUICK)

# The release: it installs into an empty environment and passes quick tests there, away from the source.
wheel: $(READY)
	rm -rf build dist .venv-wheel
	$(BIN)/python -m build --quiet
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-dev.txt dist/*.whl
	.venv-wheel/bin/hyperrank --version
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	cd tests && ../.venv-wheel/bin/python -m pytest -p no:cacheprovider -o pythonpath= -q test_lists.py test_simplex.py test_choosing.py test_boosters.py

coverage: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not network" --cov=hyperrank --cov-report=term:skip-covered --cov-fail-under=90

bench: $(READY)
	$(BIN)/python -m benchmarks.quick_front

docs: $(DOCS_READY)
	$(BIN)/python -m sphinx -b html -W --keep-going docs docs/_build/html
	@echo "The site: docs/_build/html/index.html"

$(DOCS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-dev.txt -e ".[docs]"
	touch $(DOCS_READY)

$(READY): pyproject.toml constraints-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hyperrank needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-dev.txt -e ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) .venv-lowest .venv-highest .venv-wheel constraints-lowest.txt build dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf docs/_build docs/gallery docs/outputs docs/results docs/api/*.rst docs/changes.md
