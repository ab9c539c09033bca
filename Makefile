# One definition of every command; `make help` prints what stands behind the ##.
VENV := .venv
BIN := $(VENV)/bin
UV := $(or $(shell command -v uv 2>/dev/null),$(VENV)/bin/uv)
STORE ?= artifacts
SPACE ?= quickstart
S3 ?= versitygw radosgw

.DEFAULT_GOAL := help
.PHONY: help setup dev data tune train results test test-full test-s3 test-chart soak check format schema lock dist

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Install everything into .venv from the lock
dev: $(VENV)/.installed-dev ## Install what tests and checks need as well

$(VENV)/bin/python:
	@test -n "$$(command -v uv)" && uv venv --quiet --python '>=3.11,<3.13' $(VENV) || \
		{ python3 -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock | $(VENV)/.installed
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

data: setup ## Bring the images of the sample into the verified cache
	$(BIN)/cifar-dist data prepare sample

tune: setup ## Find a classifier by an ASHA search on the sample (SPACE=quickstart STORE=artifacts)
	$(BIN)/cifar-dist tune $(SPACE) --store $(STORE)

train: setup ## Train one classifier on the sample (STORE=artifacts)
	$(BIN)/cifar-dist train --store $(STORE)

results: setup ## Train the packaged nets again on all of CIFAR-10 (DATA=folder or tar STORE=artifacts), an hour
	$(BIN)/python deploy/make_results.py $(or $(DATA),$(error DATA=PATH: name all of CIFAR-10)) $(STORE)

test: dev ## Run the fast tests and a short one of every slow suite
	$(BIN)/python -m tests

test-full: dev ## Run the tests that need all of CIFAR-10 (CIFAR_DIST_FULL_DATA=path)
	$(BIN)/python -m pytest -m full

test-s3: dev ## Run the S3 contract on real servers (S3="versitygw radosgw", or S3=s3://bucket with its AWS_* set)
	CIFAR_DIST_TEST_S3="$(S3)" $(BIN)/python -m pytest tests/test_s3_contract.py tests/test_s3_contract_refusals.py \
		tests/test_store.py tests/test_checkpoints.py tests/test_dataset_published.py \
		tests/test_storage_outages.py::test_a_server_that_crashes_again_and_again_loses_nothing

test-chart: dev ## Check the chart, its rules, its dashboards and the image's file without a cluster
	$(BIN)/python -m pytest tests/chart

soak: dev ## Kill, stall and damage for an hour: the long rounds of the tests of endurance
	CIFAR_DIST_SOAK=1 $(BIN)/python -m pytest -m soak --durations=0

check: dev ## Lint, types, layers, sizes, schema: what CI and pre-commit call
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py

format: dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: setup ## Write the components' schema from the registries
	$(BIN)/python -m cifar_dist schema components > $(VENV)/components.json
	mv $(VENV)/components.json cifar_dist/config/components.json

lock: $(VENV)/bin/python ## Resolve the lock files anew
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 pyproject.toml --group dev --extra onnx -c requirements.lock -o requirements-dev.lock

dist: dev ## Build wheel and sdist into dist/ and check them
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/twine check --strict dist/*
