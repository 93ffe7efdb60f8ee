# K-Means image compression on Airflow and Spark. `make help` lists what there is to do.

VENV ?= .venv
IMAGES ?=
KS ?=
TARGET ?=
PUBLISH ?=
PATTERN ?=
OUTPUT ?=
SEED ?=
SETTINGS ?=
MAX_FAILURES ?=
FORCE ?=
PORT ?= 8080
TESTS ?= tests
IOKM ?=
LARGE ?=
N ?= 100000
ENV_FILE ?= .env
FAULTS ?=

BIN := $(VENV)/bin
# Values reach the shell by the environment, so that spaces and quotes in a path stay what they are.
export IMAGES KS TARGET PUBLISH PATTERN OUTPUT SETTINGS PYTHON IOKM LARGE ENV_FILE
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run ui up down test test-compose fuzz bench check format docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## make the environment: virtual environment, locked packages, Java
	@scripts/setup.sh "$(VENV)" requirements.txt

setup-dev: ## the same, with what checks and tests need
	@scripts/setup.sh "$(VENV)" requirements-dev.txt

run: setup ## compress the images through Airflow and Spark, and report; IMAGES=folder KS="4 16 64" TARGET=ssim=0.95 PUBLISH=folder PATTERN="2026/*.jpg" OUTPUT=folder SEED=0 SETTINGS="name=value" MAX_FAILURES=0 FORCE=1
	@"$(BIN)/python" -m colorquant_airflow.checkout.run $(if $(IMAGES),--images "$$IMAGES") $(if $(KS),--ks "$$KS") $(if $(TARGET),--target "$$TARGET") $(if $(PUBLISH),--publish "$$PUBLISH") \
		$(if $(PATTERN),--pattern "$$PATTERN") $(if $(OUTPUT),--output "$$OUTPUT") $(if $(SEED),--seed "$(SEED)") \
		$(if $(SETTINGS),--settings "$$SETTINGS") $(if $(MAX_FAILURES),--max-failures "$(MAX_FAILURES)") $(if $(FORCE),--force)

ui: setup ## Airflow's UI on this project, on 127.0.0.1; PORT=8080
	@"$(BIN)/python" -m colorquant_airflow.checkout.ui --port "$(PORT)"

up: ## Airflow, PostgreSQL and a Spark cluster in containers, on 127.0.0.1; IMAGES=folder OUTPUT=folder the first time
	@PORT="$(PORT)" scripts/compose_up.sh

down: ## stop those containers; all data is kept
	@docker compose --env-file "$$ENV_FILE" down

test: setup-dev ## run all tests; TESTS=tests/test_dags.py for some
	@"$(BIN)/python" -m pytest $(TESTS)

fuzz: setup-dev ## decode mutated images, N=100000 of them, SEED=0; each must be decoded or refused
	@PYTHONPATH=spark_apps:. "$(BIN)/python" -m tests.fuzz.decoder --inputs "$(N)" --seed "$(or $(SEED),0)"

test-compose: setup-dev ## test the containers on a Docker engine: build, up, run, compare, a fault, down; FAULTS=all for all faults
	@"$(BIN)/python" -m pytest -m "compose$(if $(FAULTS),, and not more)" -v -s tests/compose

bench: setup ## measure quality, bytes, speed and start-up beside other quantizers; IMAGES=folder IOKM=file.csv LARGE=image
	@scripts/setup.sh "$(VENV)" requirements-bench.txt
	PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.quantizers "$${IMAGES:-include/images}" --seeds 10 \
		$(if $(IOKM),--iokm "$$IOKM") $(if $(LARGE),--large "$$LARGE")
	PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.rate_distortion "$${IMAGES:-include/images}"
	PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.png_bytes "$${IMAGES:-include/images}"
	PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.perceptual "$${IMAGES:-include/images}"
	PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.startup include/images/hubble_deep_field.jpg
	PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.library "$${IMAGES:-include/images}"
	PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.resume "$${IMAGES:-include/images}"
	$(if $(LARGE),PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.large "$$LARGE")
	$(if $(LARGE),PYTHONPATH=spark_apps:. "$(BIN)/python" -m benchmarks.gigapixel "$$LARGE")

check: setup-dev ## lint, format and type checks
	@"$(BIN)/ruff" check
	@"$(BIN)/ruff" format --check
	@"$(BIN)/mypy"

format: setup-dev ## format the code
	@"$(BIN)/ruff" check --fix
	@"$(BIN)/ruff" format

docs: setup ## build the documentation as a site in build/docs, API reference included
	@scripts/setup.sh "$(VENV)" requirements-docs.txt
	@"$(BIN)/sphinx-build" --quiet --fail-on-warning --keep-going -c docs . build/docs
	@echo "build/docs/index.html"

lock: ## make constraints.txt anew from the requirements files
	@scripts/setup.sh "$(VENV)"
	@[ -x "$(BIN)/uv" ] || "$(BIN)/python" -m pip install --quiet "$$(grep -o '^uv[^ ]*' requirements-dev.txt)"
	@cat requirements*.txt | sed '/^-[cr]/d' | "$(BIN)/uv" pip compile --quiet --universal --python-version 3.11 \
		--no-annotate --custom-compile-command "make lock" --output-file constraints.txt -

clean: ## remove the environment and Airflow's state; outputs are kept
	rm -rf "$(VENV)" .airflow .pytest_cache .mypy_cache .ruff_cache
