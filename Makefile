# Run `make` for the list of targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# The distribution's, where it will do: the interpreters that version managers compile are often not optimised by profile,
# and run a third slower.
PYTHON ?= $(or $(shell /usr/bin/python3 -c \
	'import ensurepip, sys; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null),python3)
VENV := .venv
BIN := $(VENV)/bin
LOCAL_CLUSTER := PYTHONPATH=local-cluster $(PYTHON) -m local_cluster
CLIENT_ENVIRONMENTS = PYTHONPATH=local-cluster:. $(BIN)/python -m tests.integration.clients.environments
LOCK = $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade
BUILT := kubernetes etcd kwok helm minio coredns kueue argo-workflows ollama
CLIENTS := tests/integration/clients/environments
KUBECONFIG_FILE := $(CURDIR)/.local/kubeconfig

.PHONY: help demo cluster cluster-down cluster-status cluster-logs cluster-remains install images test test-unit test-integration test-e2e lint format generate lock benchmark clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

demo: $(VENV)/installed ## From nothing to a finished InferenceJob on a real cluster
	@$(MAKE) --no-print-directory cluster
	@$(MAKE) --no-print-directory install
	@KUBECONFIG=$(KUBECONFIG_FILE) PATH="$(CURDIR)/.local/bin:$$PATH" $(BIN)/python demo/demo.py

cluster: ## Start a Kubernetes cluster (CLUSTER=local|kind|current) and write .local/kubeconfig
	@$(LOCAL_CLUSTER) up

cluster-down: ## Remove the cluster that `make cluster` started, and all it left on the machine
	@$(LOCAL_CLUSTER) down

cluster-status: ## Show what runs of the local cluster
	@$(LOCAL_CLUSTER) status

cluster-logs: ## Show what the cluster's pods said last
	@$(LOCAL_CLUSTER) logs

cluster-remains: ## Fail when `make cluster-down` has left something of the local cluster on the machine
	@$(LOCAL_CLUSTER) remains

images: ## Build the images and load them into the cluster (REGISTRY=… if it pulls them)
	@$(LOCAL_CLUSTER) images

install: images ## Install SPLAI from charts/splai into the cluster of .local/kubeconfig
	@KUBECONFIG=$(KUBECONFIG_FILE) PATH="$(CURDIR)/.local/bin:$$PATH" bash demo/install.sh

test: $(VENV)/installed ## Everything that CI runs: lint, unit, integration, end to end
	@mkdir -p .local
	@echo "building the cluster's binaries and the clients' environments in the background: .local/build.log"
	@set -m; { nice env $(CLIENT_ENVIRONMENTS); nice env $(LOCAL_CLUSTER) build $(BUILT); } > .local/build.log 2>&1 & set +m; \
	trap 'kill %1 2> /dev/null; wait 2> /dev/null' EXIT; \
	$(MAKE) --no-print-directory lint && $(MAKE) --no-print-directory test-unit && $(LOCAL_CLUSTER) packages && \
	echo "integration and end-to-end tests run beside one another, neither fills two cores: each one's output comes at its end" && \
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-integration test-e2e

test-unit: $(VENV)/installed ## Fast tests, nothing but Python needed
	$(BIN)/pytest -n auto --dist loadfile tests/unit

test-integration: $(VENV)/installed ## Against a real kube-apiserver, etcd, scheduler, MinIO, PostgreSQL
	@$(LOCAL_CLUSTER) build kubernetes etcd kwok helm minio
	@$(LOCAL_CLUSTER) packages
	@$(CLIENT_ENVIRONMENTS)
	$(BIN)/pytest tests/integration

test-e2e: $(VENV)/installed ## On a real cluster with real pods and the real small model
	@$(MAKE) --no-print-directory cluster
	@$(MAKE) --no-print-directory install
	@$(LOCAL_CLUSTER) packages
	@$(LOCAL_CLUSTER) build kueue argo-workflows ollama
	KUBECONFIG=$(KUBECONFIG_FILE) PATH="$(CURDIR)/.local/bin:$$PATH" $(BIN)/pytest tests/e2e

lint: $(VENV)/installed ## ruff, mypy strict, and no drift in generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/installed ## Write crds/, manifests/ and the chart's copies from their sources
	$(BIN)/python -m splai.api.crd crds
	$(BIN)/python -m charts.argo_cd
	$(BIN)/python -m charts.engine_rules
	helm=$$($(LOCAL_CLUSTER) build helm) && PATH="$$helm:$$PATH" $(BIN)/python charts/render.py

lock: $(VENV)/installed ## Resolve the dependencies anew into requirements*.lock
	$(BIN)/pip install --quiet uv
	$(LOCK) --universal --extra all pyproject.toml --output-file requirements.lock
	$(LOCK) --universal --extra all --group dev pyproject.toml --output-file requirements-dev.lock
	$(LOCK) --universal operator/build-requirements.in --output-file operator/build-requirements.lock
	for client in $(CLIENTS)/*.in; do $(LOCK) --universal $$client --output-file $${client%.in}.lock || exit; done
	cd $(CLIENTS)/node && npm install --package-lock-only --omit-lockfile-registry-resolved --save-exact openai@latest
	for image in images/llamacpp images/ollama; do \
	  $(LOCK) --no-deps $$image/requirements.in --output-file $$image/requirements.lock || exit; done

benchmark: $(VENV)/installed ## Run benchmarks/NAME.py with ARGS; its last line is RESULT {json}
	@PYTHONPATH=local-cluster PATH="$(CURDIR)/.local/bin:$$PATH" $(BIN)/python -m benchmarks.$(subst -,_,$(NAME)) $(ARGS)

clean: cluster-down ## Remove the virtual environment and everything under .local
	rm -rf $(VENV) .local

$(VENV)/installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "SPLAI needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing: apt-get install python3-venv"; exit 1; }
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
