# The project's memory. The default target is what CI runs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SPEC ?= experiments/quickstart.yaml
TEST_WORKERS ?= 2

.PHONY: all test lint demo bench screenshots clean
all: test lint

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[postgres,dashboard,export,dev]"
	touch $@

demo: $(INSTALLED) ## install, run the quickstart sweep on Ray, print Table 5
	$(BIN)/dvta-orch sweep $(SPEC)
	$(BIN)/dvta-orch report --table 5

test: $(INSTALLED) ## every test, on two cores
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED) ## every benchmark, as ratios in one run; writes docs/performance.json and the table of docs/performance.md
	$(BIN)/python -m tests.benchmarks

screenshots: $(INSTALLED) ## the pictures of docs/page.md, of the newest study in the store
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
