# make demo | test | pure | coverage | lint | models | compat-test | serve | server-test | cluster | cluster-test | page-test | conformance |
#   bench | bench-gpu | scale | accuracy | fuzz | canary | audit
PYTHON_BASE ?= $(shell command -v python3.11 || command -v python3)
PYTHON := .venv/bin/python
COMPAT_PYTHON := .venv-compat/bin/python
PIP := $(PYTHON) -m pip --quiet --disable-pip-version-check
INSTALLED := .venv/.installed
COMPAT_INSTALLED := .venv-compat/.installed
SERVER_PYTHON := .venv-server/bin/python
SERVER_INSTALLED := .venv-server/.installed
SERVER_TEST_INSTALLED := .venv-server/.test-installed
CLUSTER_PYTHON := .venv-cluster/bin/python
CLUSTER_INSTALLED := .venv-cluster/.installed
CONFORMANCE_PYTHON := .venv-conformance/bin/python
CONFORMANCE_INSTALLED := .venv-conformance/.installed
CONFORMANCE_NODE := tools/conformance/node
AUDIT_INSTALLED := .venv-audit/.installed
PAGE_PYTHON := .venv-page/bin/python
PAGE_INSTALLED := .venv-page/.installed
PAGE_TOOLS := tests/page/node_modules/.package-lock.json
BENCH_INSTALLED := .venv/.bench-installed
BUILT := $(patsubst %,models/%/config.json,whisper-base whisper-tiny.en whisper-base-drafter speaker-diarization)

.PHONY: demo test pure coverage lint models compat-test serve server-test cluster cluster-test page-test conformance bench bench-gpu scale accuracy fuzz canary audit
.NOTPARALLEL:
.DELETE_ON_ERROR:

demo: $(BUILT)
	$(PYTHON) tools/demo.py

# Two workers, of one thread each; a file's tests share its models.
test: $(BUILT)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile $(ARGS)

# Seconds: what needs no model and no recording.
pure: $(INSTALLED)
	$(PYTHON) -m pytest -m pure

# A report of the lines that no test reaches, not a gate. Subprocesses are not counted.
coverage: $(BUILT)
	$(PYTHON) -m coverage run -m pytest
	$(PYTHON) -m coverage report

lint: $(INSTALLED)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/hadolint Dockerfile

models: $(BUILT)

# The newest transformers is in .venv; here are the default container's versions, over the same torch and pyannote.
compat-test: $(BUILT) $(COMPAT_INSTALLED)
	OMP_NUM_THREADS=1 $(COMPAT_PYTHON) -m pytest -n 2 --dist loadfile -m core

# docs/server.md has the routes and the settings, which the environment holds: make serve PORT=8001
serve: $(INSTALLED) $(SERVER_INSTALLED)
	$(SERVER_PYTHON) -m speech_endpoint.server

server-test: $(BUILT) $(SERVER_TEST_INSTALLED)
	$(SERVER_PYTHON) -m pytest tests/server $(ARGS)

# docs/cluster.md. On this machine alone, or the cluster that RAY_ADDRESS names.
cluster: $(CLUSTER_INSTALLED)
	HOST=$${HOST:-127.0.0.1} PYTHONPATH=$(CURDIR) $(CLUSTER_PYTHON) -m ray.serve.scripts run deploy/ray/serve.yaml

# A process joins one cluster.
cluster-test: $(BUILT) $(CLUSTER_INSTALLED)
	OMP_NUM_THREADS=1 $(CLUSTER_PYTHON) -m pytest tests/cluster $(ARGS)
	OMP_NUM_THREADS=1 $(CLUSTER_PYTHON) -m pytest tests/archive $(ARGS)

# The page in a real browser: needs Debian's chromium, node 20 and npm.
page-test: $(PAGE_INSTALLED) $(PAGE_TOOLS)
	@command -v chromium >/dev/null || { echo "error: no chromium; apt-get install chromium"; exit 1; }
	tests/page/node_modules/.bin/prettier --config tests/page/.prettierrc.json --check \
	  'speech_endpoint/server/page/**/*.{js,css}' 'tests/page/*.mjs'
	tests/page/node_modules/.bin/tsc -p tests/page
	node --test tests/page/*.test.mjs
	$(PAGE_PYTHON) -m pytest tests/page

# docs/conformance.md. make conformance URL=http://127.0.0.1:8000 ARGS="--key a-secret"
conformance: $(CONFORMANCE_INSTALLED)
	$(CONFORMANCE_PYTHON) -W ignore -m tools.conformance $(or $(URL),$(error URL= is missing)) $(ARGS)

# docs/performance.md says what these measure. ARGS="--help" lists what can be chosen.
bench: $(BUILT) $(BENCH_INSTALLED)
	$(PYTHON) -m benchmarks.speed $(ARGS)

# On a machine with a GPU; docs/gpu/README.md says what each line decides. ARGS="speakers" for those.
bench-gpu: $(BUILT) $(BENCH_INSTALLED)
	$(PYTHON) -m benchmarks.gpu $(ARGS)

# Seconds: the tables of docs/scale.md, from benchmarks/scale/cards.toml.
scale: $(INSTALLED)
	$(PYTHON) -m benchmarks.scale

accuracy: $(BUILT) $(BENCH_INSTALLED)
	$(PYTHON) -m benchmarks.accuracy $(ARGS)

# SECURITY.md says what these look for. ARGS="--seed 2 --files 1000 --requests 0", for example.
fuzz: $(BUILT)
	$(PYTHON) -m tools.fuzz $(ARGS)

# Linux, with strace.
canary: $(BUILT)
	$(PYTHON) -m tools.canary -- $(PYTHON) -m tools.fuzz --files 2000 --requests 1000 $(ARGS)

# Asks PyPI about every package of .venv; --strict: one that it does not know is not passed over.
audit: $(INSTALLED) $(AUDIT_INSTALLED)
	.venv-audit/bin/pip-audit --strict --progress-spinner off \
	  --path "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" $(ARGS)

models/%/config.json: | $(INSTALLED)
	$(PYTHON) -m tools.build_models $*

models/whisper-base-drafter/config.json: | models/whisper-base/config.json

# The pip that Python 3.11 brings is older than 25.1 and knows no dependency groups.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	  $(or $(PYTHON_BASE),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: '$(PYTHON_BASE)' is not Python 3.11 or newer; make PYTHON_BASE=/path/to/it"; exit 1; }; \
	  $(PYTHON_BASE) -m venv --clear .venv; }
	@echo "installing into .venv: some minutes, once; about 6 GB with the CUDA builds of torch from PyPI"
	$(PIP) install 'pip>=25.1'
	$(PIP) install -r requirements.txt --group dev
	touch $@

$(BENCH_INSTALLED): pyproject.toml | $(INSTALLED)
	$(PIP) install -r requirements.txt --group dev --group bench
	touch $@

# Apart from .venv, whose packages it judges.
$(AUDIT_INSTALLED): pyproject.toml | $(INSTALLED)
	test -x .venv-audit/bin/python || $(PYTHON) -m venv --without-pip .venv-audit
	$(PIP) --python .venv-audit/bin/python install --group audit
	touch $@

# Over the main environment's packages, which pip sees and leaves where they are.
$(SERVER_INSTALLED): requirements-server.txt | $(INSTALLED)
	test -x $(SERVER_PYTHON) || $(PYTHON) -m venv --without-pip .venv-server
	site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  $(PYTHON) -c "$$site" > "$$($(SERVER_PYTHON) -c "$$site")/main-environment.pth"
	$(PIP) --python $(SERVER_PYTHON) install -r requirements-server.txt
	touch $@

$(SERVER_TEST_INSTALLED): pyproject.toml $(SERVER_INSTALLED)
	$(PIP) --python $(SERVER_PYTHON) install --group server-test
	touch $@

# Laid over .venv as the server's is.
$(CLUSTER_INSTALLED): requirements-server.txt requirements-cluster.txt pyproject.toml | $(INSTALLED)
	test -x $(CLUSTER_PYTHON) || $(PYTHON) -m venv --without-pip .venv-cluster
	site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  $(PYTHON) -c "$$site" > "$$($(CLUSTER_PYTHON) -c "$$site")/main-environment.pth"
	$(PIP) --python $(CLUSTER_PYTHON) install -r requirements-server.txt -r requirements-cluster.txt --group cluster-test
	touch $@

# Laid over .venv, as the environment of compat-test is.
$(PAGE_INSTALLED): pyproject.toml | $(INSTALLED)
	test -x $(PAGE_PYTHON) || $(PYTHON) -m venv --without-pip .venv-page
	$(PIP) --python $(PAGE_PYTHON) install -r requirements-server.txt --group page
	site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  $(PYTHON) -c "$$site" > "$$($(PAGE_PYTHON) -c "$$site")/main-environment.pth"
	touch $@

$(PAGE_TOOLS): tests/page/package-lock.json
	cd tests/page && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

# Where there is no npm, the rows of its clients are not run.
$(CONFORMANCE_INSTALLED): pyproject.toml $(CONFORMANCE_NODE)/package-lock.json | $(INSTALLED)
	test -x $(CONFORMANCE_PYTHON) || $(PYTHON) -m venv --without-pip .venv-conformance
	$(PIP) --python $(CONFORMANCE_PYTHON) install --group conformance
	if command -v npm >/dev/null; then npm ci --no-audit --no-fund --prefix $(CONFORMANCE_NODE); fi
	touch $@

$(COMPAT_INSTALLED): pyproject.toml | $(INSTALLED)
	test -x $(COMPAT_PYTHON) || $(PYTHON) -m venv --without-pip .venv-compat
	$(PIP) --python $(COMPAT_PYTHON) install --no-deps --group compat
	site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	  $(PYTHON) -c "$$site" > "$$($(COMPAT_PYTHON) -c "$$site")/main-environment.pth"
	touch $@
