# `make demo` and `make test` set up everything they need in .venv. Nothing is written outside this folder.
PYTHON ?= python3
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help setup demo notebooks test test-jax lint bench wheel clean

help:
	@echo "make demo      annotated slices of a synthetic kidney -> dense segmentation, score and report (5 minutes)"
	@echo "make notebooks execute the notebooks and keep what they show (20 minutes)"
	@echo "make test      all tests"
	@echo "make test-jax  the network, the losses and the augmentation on Keras' JAX backend"
	@echo "make lint      style, types, and that data flows one way through the rooms"
	@echo "make bench     some tables of benchmarks/; its README has those beside peers"
	@echo "make setup     only .venv, with .venv/bin/unet3d"

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv # also where it was left half made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@echo "Compiling elasticdeform ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-binary elasticdeform \
		elasticdeform >.venv/elasticdeform.log 2>&1 || echo "elasticdeform was not compiled (.venv/elasticdeform.log" \
		"says why; it needs a C compiler). Nothing is lost: the compiled augmentation serves."
	@touch $@

demo: setup
	$(BIN)/unet3d demo $(DEMO)

notebooks: setup
	$(BIN)/python notebooks/execute.py

test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal --durations=30

test-jax: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt jax
	KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(BIN)/python -m pytest -n 2 tests/network tests/augmentation

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p .venv/types && ln -sfn $(CURDIR)/cli .venv/types/unet3d_cli # mypy finds packages by their folders' names
	MYPYPATH=.venv/types $(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/deformation.py
	$(BIN)/python benchmarks/training.py tiles
	$(BIN)/python benchmarks/segmentation.py growth --largest 256

wheel: setup
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf .venv build dist demo *.egg-info
