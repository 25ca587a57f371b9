PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
DEMO ?= fmnist_resnet8

export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help demo test lint types docs docs-check bench conformance clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/imcc: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/imcc
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(BIN)/imcc ## Compile and verify a bundled ResNet-8 for the ISAAC chip.
	mkdir -p build
	$(BIN)/imcc compile models/$(DEMO).onnx --target isaac -o build/$(DEMO).imc
	$(BIN)/imcc verify build/$(DEMO).imc --model models/$(DEMO).onnx --layerwise

test: $(VENV)/.dev ## Run all tests.
	$(BIN)/pytest -n $(JOBS)

lint: $(VENV)/.dev ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types.
	$(BIN)/mypy

docs: $(BIN)/imcc ## Generate docs/reference from the code.
	$(BIN)/python -m imcc.compiler.report.reference
	$(BIN)/python -m imcc.compiler.conformance --write

conformance: $(VENV)/.dev ## Run ONNX's node tests and print what came of each operator.
	$(BIN)/python -m imcc.compiler.conformance

docs-check: $(BIN)/imcc ## Check that docs/reference is what the code says.
	$(BIN)/python -m imcc.compiler.report.reference --check

bench: $(BIN)/imcc ## Measure compile time and speed of the machine.
	$(BIN)/python benchmarks/compile_time.py
	$(BIN)/python benchmarks/runtime_speed.py
	$(BIN)/python benchmarks/timing_speed.py

clean: ## Remove what was built.
	rm -rf build $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
