# One definition of every command; `make help` prints what stands behind the ##.
VENV := .venv
BIN := $(VENV)/bin
UV := $(or $(shell command -v uv 2>/dev/null),$(VENV)/bin/uv)
STORE ?= artifacts
SPACE ?= quickstart
S3 ?= versitygw radosgw
IMAGE ?= cifar-dist:dev
# Where a run goes: ON=k8s, else this machine.
ON ?=
CONTEXT ?=
NAMESPACE ?= cifar-dist
RELEASE ?= cifar-dist
VALUES ?=
$(if $(filter-out k8s,$(ON)),$(error ON=$(ON): k8s, or nothing for this machine))
PLACE = --namespace $(NAMESPACE) --release $(RELEASE) $(if $(CONTEXT),--on $(CONTEXT))
SUBMIT = $(PLACE) $(if $(filter s3://%,$(STORE)),--store $(STORE)) $(if $(DATA),--data $(DATA)) --follow
K8S = $(or $(filter k8s,$(ON)),$(error say ON=k8s: $@ is of a cluster))

.DEFAULT_GOAL := help
.PHONY: help setup dev data tune train results deploy dashboard fetch image test test-full test-s3 test-chart \
	test-scrape test-k8s lab-up lab-down soak bench check format schema dashboards lock dist

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

tune: setup ## Find a classifier by an ASHA search on the sample (SPACE=quickstart STORE=artifacts; ON=k8s DATA=s3://…)
	$(BIN)/cifar-dist $(if $(ON),submit tune $(SPACE) $(SUBMIT),tune $(SPACE) --store $(STORE))

train: setup ## Train one classifier on the sample (STORE=artifacts; ON=k8s DATA=s3://…)
	$(BIN)/cifar-dist $(if $(ON),submit train $(SUBMIT),train --store $(STORE))

results: setup ## Train README's table again on all of CIFAR-10 (DATA=folder or tar STORE=artifacts), over an hour
	$(BIN)/python deploy/make_results.py $(or $(DATA),$(error DATA=PATH: name all of CIFAR-10)) $(STORE)

deploy: setup ## Install the platform on a Kubernetes cluster and test it (VALUES=file NAMESPACE= CONTEXT= RELEASE=)
	$(BIN)/cifar-dist platform deploy $(PLACE) $(addprefix --values ,$(VALUES))

dashboard: setup ## Open a cluster's Ray dashboard here until Ctrl-C (ON=k8s)
	$(if $(K8S),$(BIN)/cifar-dist platform dashboard $(PLACE))

fetch: setup ## Fetch what the newest job that succeeded made (ON=k8s)
	$(if $(K8S),$(BIN)/cifar-dist platform fetch $(PLACE))

image: ## Build the image with docker (IMAGE=cifar-dist:dev)
	docker build -f deploy/Dockerfile -t $(IMAGE) .

test: dev ## Run the fast tests and a short one of every slow suite
	$(BIN)/python -m tests

test-full: dev ## Run the tests that need all of CIFAR-10 (CIFAR_DIST_FULL_DATA=path)
	$(BIN)/python -m pytest -m full

test-s3: dev ## Run the S3 contract on real servers (S3="versitygw radosgw", or S3=s3://bucket with its AWS_* set)
	CIFAR_DIST_TEST_S3="$(S3)" $(BIN)/python -m pytest tests/test_s3_contract.py tests/test_s3_contract_refusals.py \
		tests/test_store.py tests/test_checkpoints.py tests/test_dataset_published.py \
		tests/test_storage_outages.py::test_a_server_that_crashes_again_and_again_loses_nothing

test-chart: dev ## Check the chart, its rules, its dashboards and the image's file without a cluster
	$(BIN)/python -m pytest --confcutdir=tests/chart tests/chart

test-scrape: dev ## Let a real Prometheus read a real sweep (needs Debian's prometheus), some minutes
	CIFAR_DIST_LIVE_SCRAPE=1 $(BIN)/python -m pytest tests/chart/test_live_scrape.py

lab-up: ## Start a real Kubernetes on this machine with our image in it (root, Debian 12; KUBERAY=1.7.0)
	deploy/lab/build.sh && deploy/lab/up.sh node
	deploy/lab/engine.sh up && deploy/lab/engine.sh image && deploy/lab/engine.sh load localhost/cifar-dist:dev

lab-down: ## Stop it; deploy/lab/down.sh --clean forgets it
	deploy/lab/engine.sh down
	deploy/lab/down.sh

test-k8s: dev ## Run the tests that need that Kubernetes (make lab-up), half an hour
	deploy/lab/enter.sh $(BIN)/python -m pytest tests/kubernetes

soak: dev ## Kill, stall and damage for an hour: the long rounds of the tests of endurance
	CIFAR_DIST_SOAK=1 $(BIN)/python -m pytest -m soak --durations=0

bench: dev ## Measure ours against references by turns on a quiet machine (ROWS="training_* sweep_*" DATA=sample)
	GOMP_SPINCOUNT=10000 $(BIN)/python -m tests.bench $(foreach row,$(ROWS),'$(row)') $(if $(DATA),--data $(DATA))

check: dev ## Lint, types, layers, sizes, schema: what CI and pre-commit call
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py

format: dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: setup ## Write what follows from the code: schemas of components and values, the chart's README
	$(BIN)/python -m cifar_dist schema components > $(VENV)/components.json
	mv $(VENV)/components.json cifar_dist/config/components.json
	$(BIN)/python -m cifar_dist schema values > $(VENV)/values.schema.json
	mv $(VENV)/values.schema.json helm/cifar-dist/values.schema.json
	$(BIN)/python deploy/make_chart_readme.py

dashboards: dev ## Write the chart's Grafana dashboards from deploy/dashboards
	$(BIN)/python deploy/make_dashboards.py

lock: $(VENV)/bin/python ## Resolve the lock files anew
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 pyproject.toml --group dev --extra onnx -c requirements.lock -o requirements-dev.lock

dist: dev ## Build wheel and sdist into dist/ and check them
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/twine check --strict dist/*
