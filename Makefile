PYTHON ?= python3
BIN := .venv/bin
# Keeps the caches of pip, Hugging Face and Matplotlib in the repository too.
export XDG_CACHE_HOME := $(CURDIR)/.venv/cache
export HF_HOME := $(XDG_CACHE_HOME)/huggingface

.PHONY: demo test test-all test-legacy quality docs bench clean

demo: outputs/demo/model .venv/demo  ## Train on the bundled sample, show the score, and translate sentences
	$(BIN)/kgloss translate outputs/demo/model "이 토기는 4세기에 만들어졌습니다." "이 토기는 무덤에서 발견되었습니다." \
	    "박물관 2층에서 그림을 볼 수 있습니다." --format tsv > outputs/demo/translations.tsv
	@awk -F '\t' 'NR > 1 { print $$1 "\n  → " $$2 ($$4 ? " [unknown: " $$4 "]" : "") }' outputs/demo/translations.tsv

# Inputs of the demo: its options, and the files or folder that they name, or else the bundled sample.
DEMO_DATA := $(shell sed -n 's/^\(dataset\|data_dir\|extra_train\): *\([^ \#]*\).*/\2/p' examples/demo.yaml | tr , ' ')
DEMO_INPUTS := examples/demo.yaml $(wildcard $(DEMO_DATA) $(addsuffix /*,$(DEMO_DATA)) dataset_scripts/mcksg/*)

# Retrains a finished model that is older than its inputs; an unfinished run reports what it cannot continue with.
outputs/demo/model: $(DEMO_INPUTS) | .venv/demo
	test ! -e $@ || rm -rf $(@D)
	$(BIN)/python examples/run_text2gloss.py examples/demo.yaml

# One process per core, at most four, each with one thread. Tests of a file share fixtures, so they stay together.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile
test test-all test-legacy: export OMP_NUM_THREADS := 1

test: .venv/ready quality  ## Run lint, type checks, tests and doctests
	$(BIN)/pytest $(PARALLEL)

test-all: test  ## Run the same, then the tests marked slow: random kills, environments, long pages
	$(BIN)/pytest $(PARALLEL) -m slow

test-legacy: .venv-legacy/ready  ## Run the tests on the script era, with the lowest versions that setup.cfg allows
	.venv-legacy/bin/pytest $(PARALLEL)

quality: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/prose.py
	$(BIN)/mypy

docs: .venv/ready  ## Build the documentation as a site in outputs/site
	$(BIN)/python docs/pages.py outputs/docs
	$(BIN)/zensical build --clean --strict

# Leaves out benchmarks that need a trained model, a folder or a GPU, the recipe of a table, and the shared corpora.
WITH_ARGUMENTS := %/corpora.py %/consensus.py %/first_answer.py %/gpu.py %/new_glosses.py %/okt_table.py %/placeholders.py %/serve.py %/translation_workers.py
BENCHMARKS := $(filter-out $(WITH_ARGUMENTS),$(wildcard benchmarks/*.py))

bench: .venv/ready
	set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script; done

# Extras that the demo needs, and extras that the tests need in addition.
.venv/demo: EXTRA := train
.venv/ready: EXTRA := test,tracking,docs
.venv-legacy/ready: EXTRA := test
.venv/demo .venv/ready: constraints.txt
.venv/ready: .venv/demo
.venv-legacy/ready: constraints-legacy.txt

.venv/demo .venv/ready .venv-legacy/ready: setup.cfg
	@echo "Installing kgloss-hf[$(EXTRA)] into $(@D)"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --constraint $(filter constraints%,$^) torch
	$(@D)/bin/pip install --constraint $(filter constraints%,$^) --editable ".[$(EXTRA)]"
	touch $@

clean:
	rm -rf .venv .venv-legacy outputs
