# Every result is a file; every command for people is a short name for a file: `make help` lists
# them. A target makes what it lacks: `make submission MODEL=v5l` trains, predicts and sweeps where
# that was not done.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
HARNESS := $(BIN)/harness

# What a person may choose, as `make sweep MODEL=v5l DATA=contest.yaml`:
DATA    ?= data/VOC2007#     VOC devkit folder, COCO JSON, YOLO data.yaml, or list file
MODEL   ?= v5n#              the run, runs/MODEL; unless RECIPE is given, also its recipe
MEMBERS ?= $(or $(shell cat runs/ensemble/members.txt 2>/dev/null),v5n v5s)#  runs of the ensemble
RECIPE  ?=#                  a shipped recipe or a .toml file
TRAIN   ?= train#            names of DATA's splits
VAL     ?= val
TEST    ?= test
ARGS    ?=#                  key=value for `harness train`
TTA     ?=#                  --tta, or any other option of `harness predict`
VIDEO   ?=#                  a file or an address, for `make video`
PROFILE ?=#                  format of the submission, such as vinbigdata
SAMPLE  ?=#                  the contest's sample_submission.csv
COMPETITION ?=#              the last part of the contest's address, for `make submit`
MESSAGE     ?=#              what Kaggle shows beside the submission

PROFILE_OPTION = $(if $(PROFILE),--profile $(PROFILE))
SAMPLE_OPTION  = $(if $(SAMPLE),--sample $(SAMPLE))
SIZES_OPTION   = $(if $(PROFILE),--data $(DATA) --split $(TEST))# photos' sizes, for profiles
MODELS := v1 v1-report v3 v3-report v5n v5s v5m v5m-report v5l v5l-report v5x

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:   # a command that failed leaves no half-written result behind
.SECONDARY:         # and make never tidies away a checkpoint as "intermediate"
.NOTPARALLEL:       # one GPU: `make -j` must not train two models on it at once

# --- what people type -------------------------------------------------------------------------

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z0-9$$(): %-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
setup: $(READY)  ## make the environment alone
demo: runs/demo/score.json  ## the whole flow on drawn scenes, in minutes on a CPU; a page to open
	@$(HARNESS) leaderboard --html runs/leaderboard.html
	@$(HARNESS) report runs/demo
data: data/VOC2007  ## download and verify VOC 2007
$(MODELS:%=train-%): train-%: runs/%/best.pt
train: runs/$(MODEL)/best.pt  ## train MODEL on DATA; also train-v1, train-v5l, train-v5l-report ...
eval: runs/$(MODEL)/val-final.npz  ## AP50 of MODEL on validation at the best cell of its sweep
	@$(HARNESS) score $< --data $(DATA) --split $(VAL)
sweep: runs/$(MODEL)/sweep.csv  ## confidence x IoU grid of MODEL on the validation split
submission: runs/$(MODEL)/submission.csv  ## MODEL's detections on the test split as a checked CSV
ensemble: runs/ensemble/val-final.npz  ## fuse the runs MEMBERS, say whether it is worth it
	@$(HARNESS) score $< --data $(DATA) --split $(VAL)
SEND = runs/$(MODEL)/submission.csv
submit: competition-named eval $(SEND)  ## send MODEL's CSV once: COMPETITION=slug MESSAGE="..."
	@$(HARNESS) submit $(SEND) --competition '$(COMPETITION)' --message '$(MESSAGE)' \
	  $(PROFILE_OPTION) $(SAMPLE_OPTION)
competition-named:
	@test -n '$(COMPETITION)' -a -n '$(MESSAGE)' || \
	  { echo 'want make submit COMPETITION=slug MESSAGE="..."' >&2; exit 2; }
video: video-named runs/$(MODEL)/best.pt  ## MODEL's detections drawn on VIDEO, with its sound
	$(HARNESS) video runs/$(MODEL) '$(VIDEO)' --out runs/$(MODEL)/video.mp4 --track \
	  --csv runs/$(MODEL)/video.csv --npz runs/$(MODEL)/video.npz
	@$(HARNESS) report runs/$(MODEL)
video-named:
	@test -n '$(VIDEO)' || { echo 'want make video VIDEO=a file or an address' >&2; exit 2; }
report: runs/$(MODEL)/report.html  ## one page about MODEL's run
leaderboard: $(READY)  ## every scored run, best first
	@$(HARNESS) leaderboard --html runs/leaderboard.html
kaggle:  ## runs/kaggle: a dataset to upload, for notebooks without internet
	@rm -rf runs/kaggle && mkdir -p runs/kaggle/source
	@tar --exclude=__pycache__ -cf - LICENSE harness models evaluate submit | \
	  tar -xf - -C runs/kaggle/source
	@$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps \
	  --dest runs/kaggle/wheels cyclopts rich-rst
	@echo 'runs/kaggle: now kaggle datasets init -p runs/kaggle, name it there,' \
	  'and kaggle datasets create -r zip -p runs/kaggle'
test: $(READY)  ## the tests, a few minutes
	$(BIN)/pytest
test-all: $(READY)  ## the slow ones too
	$(BIN)/pytest -m ''
check: $(READY)  ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest
bench: $(READY)  ## NMS, sweep, fusion and submissions beside their peers
	for name in nms sweep fusion submission; do $(BIN)/python benchmarks/$$name.py || exit; done
bench-evaluate: $(READY)  ## scoring beside the COCO packages, in environments of their own
	$(BIN)/python benchmarks/evaluation.py $(ARGS)
.PHONY: help setup demo data train $(MODELS:%=train-%) eval sweep submission ensemble submit \
  competition-named video video-named report leaderboard kaggle test test-all check bench \
  bench-evaluate always

# --- how each file is made --------------------------------------------------------------------

runs/demo/%: override DATA = data/demo
.SECONDEXPANSION:   # $$(DATA) is the demo's own in runs/demo

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "want Python 3.11 or later, $(PYTHON) is $$($(PYTHON) --version);" \
	  "try make PYTHON=python3.12" >&2; exit 1; }
	@echo "making $(VENV), some minutes: torch brings about 5 GB on Linux" \
	  "(README says how to take the CPU build)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

data/demo: | $(READY)
	$(HARNESS) data demo $@
data/VOC2007: | $(READY)
	$(HARNESS) data voc2007 data
runs/%/best.pt: | $(READY) $$(filter data/VOC2007 data/demo,$$(DATA))
	$(HARNESS) train $(or $(RECIPE),$*) --data $(DATA) --train-split $(TRAIN) --val-split $(VAL) \
	  --out $(@D) --resume $(ARGS)
runs/%/val.npz: runs/%/best.pt
	$(HARNESS) predict $(@D) --data $(DATA) --split $(VAL) --out $@ $(TTA)
runs/%/test.npz: runs/%/best.pt
	$(HARNESS) predict $(@D) --data $(DATA) --split $(TEST) --out $@ $(TTA)
runs/ensemble/members.txt: always   # other MEMBERS than last time are another ensemble
	@mkdir -p $(@D) && echo '$(MEMBERS)' | cmp -s - $@ || echo '$(MEMBERS)' > $@
runs/ensemble/fusion.json: runs/ensemble/members.txt $(MEMBERS:%=runs/%/val.npz)
	$(HARNESS) fuse --search $(MEMBERS:%=runs/%/val.npz) --data $(DATA) --split $(VAL) --out $@
runs/ensemble/val.npz: runs/ensemble/fusion.json $(MEMBERS:%=runs/%/val.npz)
	$(HARNESS) fuse --recipe $^ --out $@
runs/ensemble/test.npz: runs/ensemble/fusion.json $(MEMBERS:%=runs/%/test.npz)
	$(HARNESS) fuse --recipe $^ --out $@
runs/%/sweep.csv: runs/%/val.npz
	$(HARNESS) sweep $< --data $(DATA) --split $(VAL) --out $@
runs/%/final.npz: runs/%/test.npz runs/%/sweep.csv
	$(HARNESS) apply $< --sweep $(@D)/sweep.csv --out $@
runs/%/val-final.npz: runs/%/val.npz runs/%/sweep.csv
	$(HARNESS) apply $< --sweep $(@D)/sweep.csv --out $@
runs/%/submission.csv: runs/%/final.npz
	$(HARNESS) csv $< --out $@ $(PROFILE_OPTION) $(SAMPLE_OPTION) $(SIZES_OPTION)
	$(HARNESS) check $@ $(PROFILE_OPTION) $(SAMPLE_OPTION)
runs/%/score.json: runs/%/submission.csv
	$(HARNESS) score $< --data $(DATA) --split $(TEST) $(PROFILE_OPTION) --json > $@
runs/%/report.html: runs/%/score.json
	$(HARNESS) report $(@D) --out $@
