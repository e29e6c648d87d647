# Every result is a file; every command for people is a short name for a file. `make help` lists them.
# A target makes what it lacks: `make submission MODEL=v5l` trains, predicts and sweeps where that was not done.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
H      := $(BIN)/harness

DATA   ?= data/VOC2007
MODEL  ?= v5n
MEMBERS ?= $(or $(shell cat runs/ensemble/members.txt 2>/dev/null),v5n v5s)
RECIPE ?=
TRAIN  ?= train
VAL    ?= val
TEST   ?= test
ARGS   ?=
TTA    ?=
VIDEO  ?=
COMPETITION ?=
MESSAGE ?=
PROFILE ?=
SAMPLE  ?=
FORM     = $(if $(PROFILE),--profile $(PROFILE))
WITH     = $(if $(SAMPLE),--sample $(SAMPLE))
MODELS := v1 v1-report v3 v3-report v5n v5s v5m v5m-report v5l v5l-report v5x

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:   # a command that failed leaves no half-written result behind
.SECONDARY:         # and make never tidies away a checkpoint as "intermediate"
.NOTPARALLEL:       # one GPU: `make -j` must not train two models on it at once

# --- what people type ---------------------------------------------------------------------------------------

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z0-9$$(): %-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
setup: $(READY)  ## make the environment alone
demo: runs/demo/score.json  ## the whole flow on drawn scenes, a few minutes on a CPU; leaves a page to open
	@$(H) leaderboard --html runs/leaderboard.html
	@$(H) report runs/demo
data: data/VOC2007  ## download and verify VOC 2007
$(MODELS:%=train-%): train-%: runs/%/best.pt
train: runs/$(MODEL)/best.pt  ## train MODEL on DATA; also train-v1, train-v3, train-v5n, s, m, l, x and train-v5l-report ...
eval: runs/$(MODEL)/val-final.npz  ## AP50 of MODEL on the validation split, at the best cell of its sweep
	@$(H) score $< --data $(DATA) --split $(VAL)
sweep: runs/$(MODEL)/sweep.csv  ## confidence x IoU grid of MODEL on the validation split
submission: runs/$(MODEL)/submission.csv  ## MODEL's detections on the test split as a checked CSV
ensemble: runs/ensemble/val-final.npz  ## fuse the runs MEMBERS, say whether it is worth it, AP50 on the validation split
	@$(H) score $< --data $(DATA) --split $(VAL)
submit: asked eval runs/$(MODEL)/submission.csv  ## score MODEL, then send its CSV once and wait: COMPETITION=slug MESSAGE="..."
	@$(H) submit runs/$(MODEL)/submission.csv --competition '$(COMPETITION)' --message '$(MESSAGE)' $(FORM) $(WITH)
asked:
	@test -n '$(COMPETITION)' -a -n '$(MESSAGE)' || { echo 'want make submit COMPETITION=slug MESSAGE="..."' >&2; exit 2; }
video: filmed runs/$(MODEL)/best.pt  ## MODEL's detections drawn on VIDEO, a file or an address, with its sound
	$(H) video runs/$(MODEL) '$(VIDEO)' --out runs/$(MODEL)/video.mp4 --csv runs/$(MODEL)/video.csv --npz runs/$(MODEL)/video.npz --track
	@$(H) report runs/$(MODEL)
filmed:
	@test -n '$(VIDEO)' || { echo 'want make video VIDEO=a file or an address' >&2; exit 2; }
report: runs/$(MODEL)/report.html  ## one page about MODEL's run
leaderboard: $(READY)  ## every scored run, best first
	@$(H) leaderboard --html runs/leaderboard.html
kaggle:  ## runs/kaggle: the source and two wheels, to upload as a dataset for notebooks without internet
	@rm -rf runs/kaggle && mkdir -p runs/kaggle/source
	@tar --exclude=__pycache__ -cf - LICENSE harness models evaluate submit | tar -xf - -C runs/kaggle/source
	@$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --dest runs/kaggle/wheels cyclopts rich-rst
	@echo 'runs/kaggle: now kaggle datasets init -p runs/kaggle, name it there, and kaggle datasets create -r zip -p runs/kaggle'
test: $(READY)  ## the tests, a few minutes
	$(BIN)/pytest
test-all: $(READY)  ## the slow ones too
	$(BIN)/pytest -m ''
check: $(READY)  ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest
bench: $(READY)  ## NMS, sweep, fusion and submissions beside torchvision, cell by cell, ensemble-boxes and the naive way
	for each in nms sweep fusion submission; do $(BIN)/python benchmarks/$$each.py || exit; done
bench-evaluate: $(READY)  ## scoring beside the COCO packages, which get an environment of their own
	$(BIN)/python benchmarks/evaluation.py $(ARGS)
.PHONY: help setup demo data train $(MODELS:%=train-%) eval sweep ensemble submission submit asked video filmed report kaggle always leaderboard test test-all check bench bench-evaluate

# --- how each file is made ----------------------------------------------------------------------------------

runs/demo/%: override DATA = data/demo
.SECONDEXPANSION:   # $$(DATA) is the demo's own in runs/demo

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "want Python 3.11 or later, $(PYTHON) is $$($(PYTHON) --version); try make PYTHON=python3.12" >&2; exit 1; }
	@echo "making $(VENV); torch brings about 5 GB on Linux (README says how to take the CPU build), give it some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

data/demo: | $(READY)
	$(H) data demo $@
data/VOC2007: | $(READY)
	$(H) data voc2007 data
runs/%/best.pt: | $(READY) $$(filter data/VOC2007 data/demo,$$(DATA))
	$(H) train $(or $(RECIPE),$*) --data $(DATA) --train-split $(TRAIN) --val-split $(VAL) --out $(@D) --resume $(ARGS)
runs/%/val.npz: runs/%/best.pt
	$(H) predict $(@D) --data $(DATA) --split $(VAL) --out $@ $(TTA)
runs/%/test.npz: runs/%/best.pt
	$(H) predict $(@D) --data $(DATA) --split $(TEST) --out $@ $(TTA)
runs/ensemble/members.txt: always   # other MEMBERS than last time are another ensemble
	@mkdir -p $(@D) && echo '$(MEMBERS)' | cmp -s - $@ || echo '$(MEMBERS)' > $@
runs/ensemble/fusion.json: runs/ensemble/members.txt $(MEMBERS:%=runs/%/val.npz)
	$(H) fuse --search $(MEMBERS:%=runs/%/val.npz) --data $(DATA) --split $(VAL) --out $@
runs/ensemble/val.npz: runs/ensemble/fusion.json $(MEMBERS:%=runs/%/val.npz)
	$(H) fuse --recipe $^ --out $@
runs/ensemble/test.npz: runs/ensemble/fusion.json $(MEMBERS:%=runs/%/test.npz)
	$(H) fuse --recipe $^ --out $@
runs/%/sweep.csv: runs/%/val.npz
	$(H) sweep $< --data $(DATA) --split $(VAL) --out $@
runs/%/final.npz: runs/%/test.npz runs/%/sweep.csv
	$(H) apply $< --sweep $(@D)/sweep.csv --out $@
runs/%/val-final.npz: runs/%/val.npz runs/%/sweep.csv
	$(H) apply $< --sweep $(@D)/sweep.csv --out $@
runs/%/submission.csv: runs/%/final.npz
	$(H) csv $< --out $@ $(FORM) $(WITH) $(if $(PROFILE),--data $(DATA) --split $(TEST))
	$(H) check $@ $(FORM) $(WITH)
runs/%/score.json: runs/%/submission.csv
	$(H) score $< --data $(DATA) --split $(TEST) $(FORM) --json > $@
runs/%/report.html: runs/%/score.json
	$(H) report $(@D) --out $@
