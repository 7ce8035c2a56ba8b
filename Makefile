# make demo | test | lint | models | compat-test | bench | accuracy
PYTHON_BASE := $(shell command -v python3.11 || command -v python3)
PYTHON := .venv/bin/python
COMPAT_PYTHON := .venv-compat/bin/python
INSTALLED := .venv/.installed
COMPAT_INSTALLED := .venv-compat/.installed
BENCH_INSTALLED := .venv/.bench-installed
BUILT := $(patsubst %,models/%/config.json,whisper-base whisper-tiny.en whisper-base-drafter speaker-diarization)

.PHONY: demo test lint models compat-test bench accuracy
.NOTPARALLEL:
.DELETE_ON_ERROR:

demo: $(BUILT)
	$(PYTHON) tools/demo.py

test: $(BUILT)
	$(PYTHON) -m pytest

lint: $(INSTALLED)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-cache

models: $(BUILT)

# The newest transformers is in .venv; here are the default container's versions, over the same torch and pyannote.
compat-test: $(BUILT) $(COMPAT_INSTALLED)
	$(COMPAT_PYTHON) -m pytest -m core

# docs/performance.md says what these measure. ARGS="--help" lists what can be chosen.
bench: $(BUILT) $(BENCH_INSTALLED)
	$(PYTHON) -m benchmarks.speed $(ARGS)

accuracy: $(BUILT) $(BENCH_INSTALLED)
	$(PYTHON) -m benchmarks.accuracy $(ARGS)

models/%/config.json: | $(INSTALLED)
	$(PYTHON) tools/build_models $*

$(INSTALLED): requirements.txt requirements-dev.txt
	test -x $(PYTHON) || $(PYTHON_BASE) -m venv .venv
	@echo "installing requirements-dev.txt into .venv: some minutes, once"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(BENCH_INSTALLED): requirements-bench.txt | $(INSTALLED)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	touch $@

$(COMPAT_INSTALLED): requirements-compat.txt | $(INSTALLED)
	test -x $(COMPAT_PYTHON) || $(PYTHON) -m venv .venv-compat
	$(COMPAT_PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-compat.txt
	site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  $(PYTHON) -c "$$site" > "$$($(COMPAT_PYTHON) -c "$$site")/main-environment.pth"
	touch $@
