PYTHON ?= python3
BIN := .venv/bin
# Caches of pip, Hugging Face and Matplotlib stay in the repository too.
export XDG_CACHE_HOME := $(CURDIR)/.venv/cache
export HF_HOME := $(XDG_CACHE_HOME)/huggingface

.PHONY: demo test test-all test-legacy quality docs bench clean

demo: outputs/demo/model .venv/demo  ## Train on the bundled sample, show the score, translate sentences
	$(BIN)/kgloss translate outputs/demo/model "이 토기는 4세기에 만들어졌습니다." "이 토기는 무덤에서 발견되었습니다." \
	    "박물관 2층에서 그림을 볼 수 있습니다." --format tsv > outputs/demo/translations.tsv
	@awk -F '\t' 'NR > 1 { print $$1 "\n  → " $$2 ($$4 ? " [unknown: " $$4 "]" : "") }' outputs/demo/translations.tsv

# What the demo trains on: its options, and the files or the folder that these name, else the bundled sample.
DEMO_DATA := $(shell sed -n 's/^\(dataset\|data_dir\|extra_train\): *\([^ \#]*\).*/\2/p' examples/demo.yaml | tr , ' ')
DEMO_INPUTS := examples/demo.yaml $(wildcard $(DEMO_DATA) $(addsuffix /*,$(DEMO_DATA)) dataset_scripts/mcksg/*)

# A finished model that is older than these is trained anew; an unfinished run says itself what it cannot go on with.
outputs/demo/model: $(DEMO_INPUTS) | .venv/demo
	test ! -e $@ || rm -rf $(@D)
	$(BIN)/python examples/run_text2gloss.py examples/demo.yaml

# A process per core, at most four, each with one thread. The tests of a file share what they make, so stay together.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile
test test-all test-legacy: export OMP_NUM_THREADS := 1

test: .venv/ready quality  ## Lint, types, tests and doctests
	$(BIN)/pytest $(PARALLEL)

test-all: test  ## The same, then what is marked slow: random kills, environments, long pages
	$(BIN)/pytest $(PARALLEL) -m slow

test-legacy: .venv-legacy/ready  ## The tests on the script era, with the lowest versions that setup.cfg states
	.venv-legacy/bin/pytest $(PARALLEL)

quality: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/ready  ## The documentation as a site, in outputs/site
	$(BIN)/python docs/pages.py outputs/docs
	$(BIN)/zensical build --clean --strict

# Without those that need a trained model, a folder or a GPU, the recipe of a table, and the corpora that all share.
WITH_ARGUMENTS := %/corpora.py %/consensus.py %/first_answer.py %/gpu.py %/new_glosses.py %/okt_table.py %/placeholders.py %/serve.py %/translation_workers.py
BENCHMARKS := $(filter-out $(WITH_ARGUMENTS),$(wildcard benchmarks/*.py))

bench: .venv/ready
	set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script; done

# What the demo needs, and what the tests need in addition.
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
