# What a person does here: make repro, make test, make lab. `make help` lists it all.
SHELL := bash
PYTHON ?= python3
# GPU=1 installs TensorFlow with its CUDA libraries (Linux, an NVIDIA driver of the machine's own).
# CLUSTER=1 adds Ray, for studies on several machines.
REQUIREMENTS := requirements$(if $(GPU),-gpu).txt $(if $(CLUSTER),requirements-cluster.txt)
VENV := .venv
BIN := $(VENV)/bin
SUPPORTED := import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; say which: make PYTHON=python3.11")
export PYTHONPATH := $(CURDIR)/src
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro app lab pages site test corners bench losses faces torture fuzz format lock

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(addprefix $(VENV)/,$(REQUIREMENTS))  ## make the environment .venv from the lock files (GPU=1: with CUDA, CLUSTER=1: with Ray)
	@echo '$(FIND)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/fergit.pth"

# What the environment's Python does when it starts: it finds the package of the checkout that it is started in, so that
# notebooks run by hand, in VS Code and by plain papermill. What src/run.py starts uses the code beside it, wherever that is.
FIND := import os, sys; sys.path += [p for p in (os.path.abspath("../" * n + "src") for n in range(9)) if os.path.isdir(p + "/fergit")][:1]

SIZE_requirements := 3.5 GB
SIZE_requirements-gpu := more than 3.5 GB
SIZE_requirements-app := 265 MB
SIZE_requirements-cluster := 250 MB

# The environment keeps a copy of the list that was installed, so a link to a finished one is taken as it is. The whole
# environments have all that the app needs.
$(VENV)/%.txt: %.txt
	@for list in $* $(if $(filter %-app,$*),requirements requirements-gpu); do \
	  if cmp -s $$list.txt $(VENV)/$$list.txt; then exit; fi; \
	done; \
	if [ ! -e .git ] && [ $< != requirements-app.txt ]; then \
	  echo 'error: this folder is no Git repository, and DVC needs one: get it by git clone, or git init && git add . && git commit -m start'; exit 1; \
	elif [ -L $(VENV) ]; then \
	  echo 'error: $(VENV) is a link, and what it leads to was not made from this $<; without the link, make builds an environment here'; exit 1; \
	fi; \
	$(PYTHON) -c '$(SUPPORTED)' || exit; \
	echo 'installing into $(VENV): $(SIZE_$*), some minutes'; \
	$(PYTHON) -m venv $(VENV) && \
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement $< && \
	cp $< $@

repro: setup  ## run the pipeline: all that params.yaml asks for and that is still missing
	@find .dvc/tmp -name rwlock -empty -delete 2>/dev/null || true  # DVC, killed while it wrote this file, cannot read it
	@$(BIN)/python src/run.py check >/dev/null  # for its message where that of DVC is unclear; DVC runs it again, with its notes
	@set -o pipefail; PYTHONUNBUFFERED=1 $(BIN)/dvc repro | { grep --line-buffered -vE '$(BRIEFLY)' || true; }  # grep fails if it prints nothing
	@echo 'done: results/README.md lists the executed notebooks'

# What DVC prints, without what it prints for each of a dozen stages beside their names: so that a run fits on a screen.
BRIEFLY := ^$$|^> |^Stage .* skipping|^(Upd|Gener)ating lock file|^To (track|enable)|^[[:space:]]+(git|dvc) |^Use .dvc push

app: $(VENV)/requirements-app.txt  ## serve a page, for this machine alone, that recognizes expressions (PORT=8765, NETWORK=fergit-residual)
	$(BIN)/python src/app.py $(if $(PORT),--port '$(PORT)') $(if $(NETWORK),--network '$(NETWORK)')

lab: setup  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --LabApp.default_url=/lab/tree/notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

pages: setup  ## fill README.md, REPLICATION.md and docs/ in from docs/templates and the results
	$(BIN)/python src/run.py pages

site: setup  ## write all pages and executed notebooks as a website into work/site
	$(BIN)/python src/run.py site

test: setup  ## run the tests, without the slow ones (make corners)
	$(BIN)/pytest

corners: setup  ## run the slow tests: DVC's queues, kills, strange surroundings, other Keras backends, 3 GB of rows
	$(BIN)/pytest -m corners

bench: setup  ## measure our speed against plain Keras and plain PyTorch
	$(BIN)/python benchmarks/measure.py bench

losses: setup  ## compare the losses of 200 steps with plain Keras'
	$(BIN)/python benchmarks/measure.py loss_curves

faces: setup  ## compare face detectors on the photographs in work/photographs (benchmarks/README.md says which)
	$(BIN)/python benchmarks/measure.py photographs

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
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --group cluster -c requirements.txt -o requirements-cluster.txt
