# Every target makes what it needs, the virtual environment included.
# PYTHON picks the interpreter (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

# Programs are started hundreds of times by the tests: what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo check model test chaos chaos-slice test-clients test-docker test-k8s bench docs installer lock clean

help:  ## List the targets
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 16

# The stamps say which lock file the environment holds: dev is demo and more.
$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "trainshed needs Python 3.11 or newer; found $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.demo: requirements/demo.txt pyproject.toml | $(VENV)/bin/uv
	@echo "installing what the demo needs into $(VENV) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/demo.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/uv
	@echo "installing the development tools into $(VENV) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@ $(VENV)/.demo

setup: $(VENV)/.dev  ## Make the development environment in .venv

demo: $(VENV)/.demo  ## Train a real model through the SageMaker API on this machine
	@$(BIN)/trainshed demo

check: $(VENV)/.dev  ## Format, lint, types, floors
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

model: $(VENV)/.dev  ## Check the protocol's model exhaustively, and that the check finds what breaks it
	@tools/system-packages gcc libc6-dev spin
	@$(BIN)/python model/check.py

test: $(VENV)/.dev  ## All tests that need nothing but this machine
	@tools/system-packages bubblewrap fuse3 postgresql
	@$(BIN)/pytest --numprocesses 4

# SEED repeats a run: make chaos SEED=7
CHAOS := $(BIN)/python -m trainshed.testing.chaos $(if $(SEED),--seed $(SEED))

chaos: $(VENV)/.dev  ## Kill everything a thousand times, and see that nothing is lost (40 minutes)
	@tools/system-packages bubblewrap postgresql
	@$(CHAOS) --kills 1000 --every-point --minutes 40

chaos-slice: $(VENV)/.dev  ## Five minutes of that
	@tools/system-packages bubblewrap postgresql
	@$(CHAOS) --kills 150 --minutes 5

$(VENV)-%/.ready: requirements/%.txt | $(VENV)/bin/uv
	@echo "installing the client environment $(VENV)-$* ..."
	@$(PYTHON) -m venv --clear --without-pip $(VENV)-$*
	@VIRTUAL_ENV=$(VENV)-$* $(BIN)/uv pip install --quiet --require-hashes -r requirements/$*.txt
	@touch $@

test-clients: $(VENV)/.dev $(VENV)-sdk2/.ready $(VENV)-sdk3/.ready  ## SageMaker SDK v2 and v3, aws CLI v2 and the Go SDK, unchanged
	@tools/system-packages bubblewrap awscli golang-go golang-github-aws-aws-sdk-go-dev
	@$(BIN)/pytest -m clients tests/clients

test-docker: $(VENV)/.dev $(VENV)-sdk2/.ready  ## Images on a Docker engine: builds them, starts an engine where none runs
	@tools/docker-engine
	@tools/system-packages bubblewrap docker-registry fuse3 mmdebstrap
	@tools/test-images
	@$(BIN)/pytest -m docker --numprocesses 3

test-k8s: $(VENV)/.dev  ## Pods and manifests on the cluster of KUBECONFIG, whose nodes have this machine's images
	@[ -n "$$KUBECONFIG" ] || { echo "name a cluster in KUBECONFIG: Kubernetes 1.20 or newer, a test cluster of your own"; exit 1; }
	@tools/system-packages iproute2 kubectl:kubernetes-client mmdebstrap npm:npm openmpi-bin postgresql python3-mpi4py socat
	@tools/k8s-images
	@tools/cluster-clients >/dev/null
	@# An operator for all namespaces would see to other tests' objects: installation goes first, alone.
	@$(BIN)/pytest -m kubernetes tests/kubernetes/test_install.py
	@$(BIN)/pytest -m kubernetes --numprocesses 2 --dist loadfile tests/kubernetes --ignore tests/kubernetes/test_install.py

bench: $(VENV)/.dev  ## Measure against yardsticks, side by side in one run
	@$(BIN)/python -m bench

docs: $(VENV)/.dev  ## Write what is generated anew: API coverage, instance types, CRDs and their fields
	@$(BIN)/python tools/api_coverage.py
	@$(BIN)/python -m tools.instance_types
	@$(BIN)/python -m tools.crds
	@$(BIN)/python -m tools.manifest_fields

installer: $(VENV)/.dev  ## Write deploy/installer*.yaml anew, from the Helm chart
	@tools/installer

lock: $(VENV)/bin/uv  ## Resolve the lock files anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  pyproject.toml --extra demo --output-file requirements/demo.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  pyproject.toml --extra kubernetes --extra operator --extra postgres --constraint requirements/dev.txt \
	  --output-file requirements/image.txt
	@for sdk in sdk2 sdk3; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate requirements/$$sdk.in --output-file requirements/$$sdk.txt; \
	done

clean:  ## Remove everything that the other targets made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
