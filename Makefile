PYTHON ?= python3
BIN := .venv/bin
# Caches of pip, Hugging Face and Matplotlib stay in the repository too.
export XDG_CACHE_HOME := $(CURDIR)/.venv/cache
export HF_HOME := $(XDG_CACHE_HOME)/huggingface

.PHONY: demo test quality bench clean

demo: outputs/demo/model .venv/ready  ## Train on the bundled sample, show the score, translate sentences
	$(BIN)/python examples/translate.py outputs/demo/model

outputs/demo/model: | .venv/ready
	$(BIN)/python examples/run_text2gloss.py examples/demo.yaml

test: .venv/ready quality  ## Lint, types, tests and doctests
	$(BIN)/pytest

quality: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready
	for script in benchmarks/*.py; do $(BIN)/python $$script; done

.venv/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

clean:
	rm -rf .venv outputs
