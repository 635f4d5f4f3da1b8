# Every target sets up what it needs. `make demo` and `make test` work in a fresh clone with Python 3.11+ and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   ?= ../shared/data/idash2018
LOCK    = $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --universal \
  --exclude-newer "$$(date -u -d '7 days ago' +%FT%TZ)"

.DEFAULT_GOAL := all
.PHONY: all demo test coverage lint bench bench-net vectors thirdparty sim net model audit lock clean

all: lint test

$(READY): requirements.lock requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed / 需要 Python 3.11 或更新版本")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)
	$(BIN)/alliance demo --data $(DATA)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The whole suite again, with every line counted: slower than `make test`, which CI runs.
coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --include='ledger/*' --skip-covered --show-missing --fail-under=100
	$(BIN)/coverage report --include='node/*,cli/*' --skip-covered --fail-under=90

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml ledger node cli
	$(BIN)/python -m tests.tidy.audit

# The lock files, and what is known of their versions; says NOT AUDITED where nobody can be asked.
audit: $(READY)
	$(BIN)/python -m tests.tidy.audit

bench: $(READY)
	$(BIN)/python -m tests.bench access core lives node reports

# Four members on one machine, then up to ten over simulated links. Some bounds are missed: the README's second table
# says which.
bench-net: $(READY)
	$(BIN)/python -m tests.bench net wan

vectors: $(READY)
	$(BIN)/python -m tests.vectors.generate
	git diff --exit-code -- tests/vectors

# Strangers' tools (Go) check an export: x/mod's notes, transparency-dev's cosignatures, Tessera's fsck.
thirdparty: $(READY)
	$(BIN)/python -m pytest -m thirdparty tests/thirdparty

sim: $(READY)
	SIM_SEEDS=$(or $(SEEDS),100) $(BIN)/python -m pytest -m "not thirdparty" tests/sim

# Real nodes and real processes, with what takes too long for every day.
net: $(READY)
	$(BIN)/python -m pytest -m "not thirdparty" tests/net

# Every state that the rules of agreement can reach, for four members of which one lies; needs spin and gcc.
model: $(READY)
	$(BIN)/python -m tests.model

# The lock files are written by hand-run `make lock`; nothing younger than seven days, no index address inside.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --extra dev pyproject.toml requirements-build.in -o requirements-dev.lock
	$(LOCK) requirements-audit.in -o requirements-audit.lock

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
