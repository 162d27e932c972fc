# `make help` lists what there is. Every target works on a fresh machine.

PYTHON ?= python3
VENV := .venv
TRAIN_VENV := .venv-train
BIN := $(VENV)/bin
KAFKA_JARS := build/kafka
HELM := build/helm
HELM_VERSION := v3.18.6
PYTEST_ARGS ?=
UPGRADE ?= --upgrade
TRAIN_ARGS ?=
TEACHER ?= sentence-transformers/all-mpnet-base-v2
SOFT := model/corpus/soft_labels.safetensors
DATA ?= ../shared/data
TRAIN = $(TRAIN_VENV)/bin/python -m model.train --data $(DATA) --soft-labels $(SOFT) --average 0.998
LONG = $(TRAIN) --backbone runs/steadied --train-embeddings --batch-size 128 --learning-rate 1.2e-4 \
  --head-learning-rate 2e-4 --consistency 4 --contrast 3 --renamed 0.9 --average 0.9995 --patience 99
HELD_OUT = $(addprefix $(DATA)/,twitter_financial_sentiment/valid_clean.jsonl.gz \
  twitter_financial_topic/valid_clean.jsonl.gz sentfin_dev/headlines.jsonl.gz \
  fincuge_finfe/train_dedup.jsonl.gz)
UV := build/uv/bin/uv

.DEFAULT_GOAL := help
.PHONY: help install run test check format bench train teach lock clean servers
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

install: $(VENV)/.light ## everything to run, in .venv
	@echo "Installed: $(BIN)/barograph --help"

run: $(VENV)/.light ## the whole monitor on this machine, with a demonstration (or FEEDS=feeds.yaml CONFIG=settings.yaml)
	$(BIN)/barograph up $(if $(FEEDS),--feeds $(FEEDS),--demo) $(if $(CONFIG),--config $(CONFIG))

test: $(VENV)/.test $(KAFKA_JARS)/.jars $(HELM) $(TRAIN_VENV)/.train ## all tests, with real servers (PYTEST_ARGS="-k name" for some)
	$(BIN)/python -m pytest $(PYTEST_ARGS)
	$(TRAIN_VENV)/bin/python -m pytest tests/training $(PYTEST_ARGS)

check: $(VENV)/.test ## ruff, mypy --strict, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test $(KAFKA_JARS)/.jars ## measure speed and quality
	$(BIN)/python -m benchmarks

train: $(TRAIN_VENV)/.train ## train the classifier anew and export it (wants a GPU; brings torch: 6 GB)
	$(TRAIN) --out runs/default --epochs 6 --stop-after 2000 --batch-size 64 --learning-rate 1.5e-4 \
	  --head-learning-rate 1e-3 --consistency 3 --seed 8 $(TRAIN_ARGS)
	$(TRAIN) --out runs/settled --backbone runs/default --epochs 2 --learning-rate 5e-5 \
	  --head-learning-rate 3e-4 --consistency 3 --seed 9 $(TRAIN_ARGS)
	$(TRAIN) --out runs/contrasted --backbone runs/settled --epochs 2 --learning-rate 5e-5 \
	  --head-learning-rate 1e-4 --consistency 2 --contrast 4 --renamed 0.7 --seed 10 $(TRAIN_ARGS)
	$(TRAIN) --out runs/steadied --backbone runs/contrasted --epochs 1 --max-steps 900 --learning-rate 5e-5 \
	  --head-learning-rate 1e-4 --consistency 3 --contrast 3 --renamed 0.8 --average 0.997 --seed 11 \
	  $(TRAIN_ARGS)
	$(LONG) --out runs/long-21 --max-steps 3100 --seed 21 $(TRAIN_ARGS)
	$(LONG) --out runs/long-22 --max-steps 3200 --seed 22 $(TRAIN_ARGS)
	$(LONG) --out runs/long-23 --max-steps 3450 --soft 0.9 --seed 23 $(TRAIN_ARGS)
	$(TRAIN_VENV)/bin/python -m model.mean runs/long-21 runs/long-22 runs/long-23 --out runs/mean
	$(TRAIN) --out runs/final --backbone runs/mean --max-steps 600 --batch-size 64 --learning-rate 5e-5 \
	  --head-learning-rate 1e-4 --consistency 4 --contrast 3 --renamed 0.9 --average 0.997 --patience 99 --seed 31 \
	  $(TRAIN_ARGS)
	$(TRAIN_VENV)/bin/python -m model.export runs/final
	$(TRAIN_VENV)/bin/python -m model.evaluate model/weights $(HELD_OUT) --targets \
	  --drop-label mixed --json benchmarks/results/model.json
	$(TRAIN_VENV)/bin/python -m model.card model/weights benchmarks/results/model.json

teach: $(TRAIN_VENV)/.train ## make the soft labels anew that train learns from (wants a GPU; TEACHER=name or folder)
	for fold in 0 1 2 3; do \
	  $(TRAIN_VENV)/bin/python -m model.train --data $(DATA) --out runs/teacher-$$fold --backbone $(TEACHER) \
	    --folds 4 --fold $$fold --seed 1$$fold --epochs 4 --batch-size 64 --learning-rate 5e-5 --average 0.995 \
	    --patience 9 $(TRAIN_ARGS) || exit; \
	done
	$(TRAIN_VENV)/bin/python -m model.teach runs/teacher-* --data $(DATA) --english --out $(SOFT)

lock: $(UV) ## resolve the dependencies anew into requirements/ (UPGRADE= keeps the versions there are)
	index=$$($(PYTHON) -m pip config get global.index-url 2>/dev/null) && \
	  export UV_DEFAULT_INDEX="$$index"; \
	lock="$(UV) pip compile --quiet $(UPGRADE) --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate pyproject.toml"; \
	$$lock -o requirements/light.txt && \
	$$lock -c requirements/light.txt --extra test --extra dev -o requirements/test.txt && \
	$$lock --extra train --extra test -o requirements/train.txt && \
	$$lock -c requirements/train.txt --extra train -o requirements/gpu.txt && \
	echo 'setuptools>=77' | $${lock% pyproject.toml} - -o requirements/build.txt

clean: ## remove what make has built, .venv included
	rm -rf $(VENV) $(TRAIN_VENV) build *.egg-info

# A stamp says that a step is done with the lock file as it stands, so that a repeat is instant.

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 install" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.light: requirements/light.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what Barograph runs on (525 MB, about half a minute) …"
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/light.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.light requirements/test.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/test.txt
	@touch $@

$(TRAIN_VENV)/.train: requirements/train.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 train" >&2; exit 1; }
	$(PYTHON) -m venv $(TRAIN_VENV)
	$(TRAIN_VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/train.txt
	$(TRAIN_VENV)/bin/python -m pip install --quiet --no-deps -e .
	@touch $@

servers:
	@.ci/servers

$(KAFKA_JARS)/.jars: deploy/kafka/pom.xml | servers
	mvn --quiet --batch-mode -f deploy/kafka/pom.xml dependency:copy-dependencies \
	  -DoutputDirectory=$(CURDIR)/$(KAFKA_JARS)
	@touch $@

# Debian has none: the one that is installed, or built from its source.
$(HELM): | servers
	@mkdir -p $(@D)
	if command -v helm >/dev/null; then ln -sf "$$(command -v helm)" $@; \
	  else GOBIN=$(CURDIR)/$(@D) go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION); fi

$(UV):
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv
