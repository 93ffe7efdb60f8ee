# K-Means image compression on Airflow and Spark. `make help` lists the targets.

VENV ?= .venv
IMAGES ?=
KS ?=
TARGET ?=
PUBLISH ?=
PATTERN ?=
EXCLUDE ?=
OUTPUT ?=
SEED ?=
SETTINGS ?=
MAX_FAILURES ?=
FORCE ?=
PUBLISH_ANYWAY ?=
UPGRADE ?=
PORT ?= 8080
TESTS ?= tests
IOKM ?=
AIRFLOW_CHART ?=
LARGE ?=
GRAPHICS ?=
N ?= 100000
SECONDS ?= 60
ENV_FILE ?= .env
FAULTS ?=
PULL ?=
DELETE ?=
DAYS ?= 30

BIN := $(VENV)/bin
# The environment passes values to the shell, so that spaces and quotes in a path are kept.
export IMAGES KS TARGET PUBLISH PATTERN EXCLUDE OUTPUT SETTINGS PYTHON IOKM LARGE GRAPHICS ENV_FILE PULL AIRFLOW_CHART
export PATH := $(abspath $(BIN)):$(PATH)
# What is set for other Pythons: modules that would hide those of this project, warnings that end programs.
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES)))

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run ui up down prune tidy tidy-containers test test-faults test-compose test-kubernetes test-machines test-stores test-versions fuzz audit bench check format docs lock wheel sbom clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: ## make the environment: virtual environment, locked packages, Java
	@scripts/setup.sh "$(VENV)" requirements.txt

setup-dev: ## the same, with the packages of checks and tests
	@scripts/setup.sh "$(VENV)" requirements-dev.txt

run: setup ## compress the images on Airflow and Spark, and write a report; IMAGES=folder KS="4 16 64 256" TARGET=ssim=0.95 PUBLISH=folder PATTERN="2026/*.jpg" EXCLUDE="*.heic; private/*" OUTPUT=folder SEED=0 SETTINGS="name=value" MAX_FAILURES=0 FORCE=1 PUBLISH_ANYWAY=1
	@"$(BIN)/python" -E -X utf8 -m colorquant_airflow.checkout.run $(if $(IMAGES),--images "$$IMAGES") $(if $(KS),--ks "$$KS") $(if $(TARGET),--target "$$TARGET") $(if $(PUBLISH),--publish "$$PUBLISH") \
		$(if $(PATTERN),--pattern "$$PATTERN") $(if $(EXCLUDE),--exclude "$$EXCLUDE") $(if $(OUTPUT),--output "$$OUTPUT") $(if $(SEED),--seed "$(SEED)") \
		$(if $(SETTINGS),--settings "$$SETTINGS") $(if $(MAX_FAILURES),--max-failures "$(MAX_FAILURES)") $(if $(FORCE),--force) $(if $(PUBLISH_ANYWAY),--publish-anyway)

ui: setup ## start Airflow's UI on this project, on 127.0.0.1; PORT=8080
	@"$(BIN)/python" -E -X utf8 -m colorquant_airflow.checkout.ui --port "$(PORT)"

up: ## start Airflow, PostgreSQL and a Spark cluster in containers, on 127.0.0.1; IMAGES=folder OUTPUT=folder the first time; PULL=1 for new base images
	@PORT="$(PORT)" scripts/compose_up.sh

down: ## stop the containers; all data is kept
	@docker compose --env-file "$$ENV_FILE" down

prune: setup ## tell what of OUTPUT=folder is no longer needed: old runs and their outputs; DELETE=1 removes it
	@PYTHONPATH=spark_apps "$(BIN)/python" -X utf8 -m colorquant prune $(if $(OUTPUT),"$$OUTPUT",output) $(if $(PUBLISH),--published "$$PUBLISH") $(if $(DELETE),--delete)

tidy: setup ## remove what is older than DAYS=30 from the database and the logs of the Airflow of `make run` and `make ui`
	@"$(BIN)/python" -E -X utf8 -m colorquant_airflow.checkout.tidy --days "$(DAYS)"

tidy-containers: ## the same for the containers of `make up`
	@docker compose --env-file "$$ENV_FILE" exec -T airflow-scheduler deploy/tidy.sh "$(DAYS)"

test: setup-dev ## run all tests except those of the next five targets; TESTS=tests/test_dags.py for some
	@"$(BIN)/python" -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(TESTS)

fuzz: setup-dev ## decode N=100000 mutated images, SEED=0; then fuzz each reader by coverage for SECONDS=60
	@PYTHONPATH=spark_apps "$(BIN)/python" -m tests.fuzz.decoder --inputs "$(N)" --seed "$(or $(SEED),0)"
	@for target in decode strip tiff json; do \
		PYTHONPATH=spark_apps "$(BIN)/python" -W ignore -m tests.fuzz.by_coverage $$target --seconds "$(SECONDS)" \
			--seed "$$(( $(or $(SEED),0) + 1 ))" --corpus output/fuzz/corpus/$$target || exit; \
	done

audit: setup-dev ## look the locked packages up in OSV, a database of known vulnerabilities
	@scripts/audit.sh "$(BIN)"

test-compose: setup-dev ## test the containers on a Docker engine: build, up, run, compare, a fault, down; FAULTS=all for all faults
	@"$(BIN)/python" -m pytest -m "compose$(if $(FAULTS),, and not more)" -v -s tests/compose

test-faults: setup-dev ## test what becomes of runs whose processes and workers are killed, stopped or lost; ten minutes
	@"$(BIN)/python" -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m faults $(TESTS)

test-kubernetes: setup-dev ## test Spark on Kubernetes against an API server of the tests, whose pods are processes, and containers of the image on a Docker engine; AIRFLOW_CHART=folder checks the Helm values
	@"$(BIN)/python" -m pytest -m kubernetes -v tests/kubernetes

test-machines: setup-dev ## test make run with locales, proxies, host names, users and variables that machines have; half an hour
	@"$(BIN)/python" -m pytest -m machines -v tests/test_machines.py

test-stores: setup-dev ## test gs:// and az:// against emulators, and roles of Airflow connections; Azure's needs Azurite (npm install --global azurite)
	@scripts/setup.sh "$(VENV)" requirements-stores.txt
	@"$(BIN)/python" -m pytest -m stores -v tests

test-versions: setup-dev ## test DAGs, operators and applications with the oldest and the newest supported Airflow, Spark provider and PySpark
	@scripts/test_versions.sh "$(VENV)"

bench: setup ## compare quality, bytes, speed and start-up with other quantizers and formats; IMAGES=folder GRAPHICS=folder IOKM=file.csv LARGE=image
	@scripts/setup.sh "$(VENV)" requirements-bench.txt
	"$(BIN)/python" -m benchmarks.quantizers "$${IMAGES:-include/images}" --seeds 10 \
		$(if $(IOKM),--iokm "$$IOKM") $(if $(LARGE),--large "$$LARGE")
	$(if $(GRAPHICS),"$(BIN)/python" -m benchmarks.quantizers "$$GRAPHICS" --output output/bench/graphics)
	for name in rate_distortion png_bytes perceptual; do \
		"$(BIN)/python" -m benchmarks.$$name "$${IMAGES:-include/images}" || exit; \
		$(if $(GRAPHICS),"$(BIN)/python" -m benchmarks.$$name "$$GRAPHICS" --output output/bench/graphics || exit;) \
	done
	"$(BIN)/python" -m benchmarks.equal_quality "$${IMAGES:-include/images}" $(if $(GRAPHICS),--graphics "$$GRAPHICS")
	"$(BIN)/python" -m benchmarks.equal_k "$${IMAGES:-include/images}" $(if $(GRAPHICS),--graphics "$$GRAPHICS")
	"$(BIN)/python" -m benchmarks.waiting "$${IMAGES:-include/images}" $(if $(IOKM),--iokm "$$IOKM") $(if $(LARGE),--large "$$LARGE")
	"$(BIN)/python" -m benchmarks.lower_bound "$${IMAGES:-include/images}"
	"$(BIN)/python" -m benchmarks.startup include/images/hubble_deep_field.jpg
	"$(BIN)/python" -m benchmarks.library "$${IMAGES:-include/images}"
	"$(BIN)/python" -m benchmarks.resume "$${IMAGES:-include/images}"
	"$(BIN)/python" -m benchmarks.planning
	"$(BIN)/python" -m benchmarks.million --count 100000
	for kill in "" --kill; do "$(BIN)/python" -m benchmarks.nights "$${IMAGES:-include/images}" $$kill || exit; done
	$(if $(LARGE),"$(BIN)/python" -m benchmarks.large "$$LARGE")
	$(if $(LARGE),"$(BIN)/python" -m benchmarks.gigapixel "$$LARGE")
	$(if $(LARGE),"$(BIN)/python" -m benchmarks.library_palette "$$LARGE")
	"$(BIN)/python" -m benchmarks.shared_palettes "$${IMAGES:-include/images}"
	$(if $(GRAPHICS),"$(BIN)/python" -m benchmarks.shared_palettes "$$GRAPHICS")

check: setup-dev ## check lint, format, types and the GitHub workflow
	@"$(BIN)/ruff" check
	@"$(BIN)/ruff" format --check
	@"$(BIN)/python" -m mypy
	@"$(BIN)/zizmor" --offline --quiet --strict-collection .

format: setup-dev ## format the code
	@"$(BIN)/ruff" check --fix
	@"$(BIN)/ruff" format

docs: setup ## build the documentation as a site in build/docs, API reference included
	@scripts/setup.sh "$(VENV)" requirements-docs.txt
	@"$(BIN)/python" -m sphinx --quiet --fail-on-warning --keep-going -c docs . build/docs
	@echo "build/docs/index.html"

lock: ## lock the packages of pyproject.toml with their hashes; UPGRADE=1 takes the newest versions that fit
	@scripts/setup.sh "$(VENV)"
	@[ -x "$(BIN)/uv" ] || "$(BIN)/python" -m pip install --quiet "$$(sed -n 's/^ *"\(uv~=[^"]*\)".*/\1/p' pyproject.toml)"
	@scripts/lock.sh "$(BIN)/uv" $(if $(UPGRADE),--upgrade)

wheel: setup-dev ## build the distribution, dist/colorquant-*.whl
	@"$(BIN)/python" -m hatchling build -t wheel

sbom: setup-dev ## list the locked packages of a deployment with their hashes, as CycloneDX: dist/sbom.json
	@mkdir -p dist
	@"$(BIN)/python" -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json requirements-deploy.txt

clean: ## remove the environment, the built distribution and Airflow's state; outputs are kept
	rm -rf "$(VENV)" .versions .airflow dist .pytest_cache .mypy_cache .ruff_cache
