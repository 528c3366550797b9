# What a person does here: make repro, make test, make lab. `make help` lists it all.
PYTHON ?= python3
# GPU=1 installs TensorFlow with its CUDA libraries (Linux, an NVIDIA driver of the machine's own).
REQUIREMENTS := requirements$(if $(GPU),-gpu).txt
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)/src
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro app lab site test corners bench losses torture fuzz format lock

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/$(REQUIREMENTS)  ## make the environment .venv from the lock file (GPU=1: with CUDA)

$(VENV)/%.txt: %.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; say which: make PYTHON=python3.11")'
	@echo 'installing into $(VENV): 3.5 GB, some minutes'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

repro: setup  ## run the pipeline: whatever params.yaml asks for and is not there yet
	@find .dvc/tmp -name rwlock -empty -delete 2>/dev/null || true  # DVC, killed while it wrote this file, cannot read it
	@$(BIN)/python src/run.py check  # in words of ours, where DVC's would be obscure
	$(BIN)/dvc repro

app: $(VENV)/requirements-app.txt  ## serve a page, for this machine alone, that names expressions (PORT=8765)
	$(BIN)/python src/app.py $(if $(PORT),--port $(PORT))

lab: setup  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 notebooks

site: setup  ## write all pages and executed notebooks as a website into work/site
	$(BIN)/python src/run.py site

test: setup  ## run all tests
	$(BIN)/pytest

corners: setup  ## run the tests of DVC's corners (queues, deleted results, strange surroundings), of JupyterLab and of 3 GB of rows
	$(BIN)/pytest -m corners

bench: setup  ## measure our speed against plain Keras and plain PyTorch
	$(BIN)/python benchmarks/bench.py

losses: setup  ## compare the losses of 200 steps with plain Keras'
	$(BIN)/python benchmarks/loss_curves.py

torture: setup  ## stop a training 22 times, by force or not, and compare its bytes with one left alone
	$(BIN)/python tests/torture.py

fuzz: setup  ## give the readers of data and params.yaml thousands of broken files
	FUZZ_EXAMPLES=5000 $(BIN)/pytest tests/data/test_fuzz.py

format: setup  ## bring code and source notebooks into their one form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python -m fergit.runner.notebooks

lock:  ## pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --extra test pyproject.toml -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --extra test --extra gpu -c requirements.txt pyproject.toml -o requirements-gpu.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --group app -c requirements.txt -o requirements-app.txt
