# Two commands do everything on a fresh machine with Python 3.11: `make quickstart` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
BENCHMARK := .venv-benchmark
# Versions are pinned; torch first, so that nothing else pulls another build of it.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test test-long lint format benchmark clean

quickstart: $(VENV)/.installed
	rm -rf quickstart
	$(BIN)/bertblocks quickstart --output quickstart

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

test-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m long

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Some 20 minutes for inference on two cores; on a machine that does nothing else.
benchmark: $(BENCHMARK)/.installed
	$(BENCHMARK)/bin/python benchmarks/inference.py
	$(BENCHMARK)/bin/python benchmarks/training_speed.py --output benchmarks/results/training_speed.json
	$(BENCHMARK)/bin/python benchmarks/fine_tuning.py speed --rows 400 --output benchmarks/results/fine_tuning_speed.json

# What bertblocks is compared with has an environment of its own.
$(BENCHMARK)/.installed: pyproject.toml setup.py constraints.txt benchmarks/requirements.txt $(wildcard src/bertblocks/encoder/native/*.[ch])
	$(PYTHON) -m venv $(BENCHMARK)
	$(BENCHMARK)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BENCHMARK)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement benchmarks/requirements.txt --editable '.[serve]'
	touch $@

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml setup.py constraints.txt $(wildcard src/bertblocks/encoder/native/*.[ch])
	$(PIP) torch
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(BENCHMARK) quickstart
