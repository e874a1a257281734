# make demo | test | check | bench: each does all of its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench format clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,denoise,room,train]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt musicnn silero-vad resemblyzer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt visqol-python 2> $(VENV)/visqol.log \
	  || echo 'without ViSQOL, since its libsvm was not compiled (see $(VENV)/visqol.log): its tests will skip'
	touch $@

demo: $(READY)
	$(BIN)/subterfuge demo --out demo-out

test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: $(READY)
	$(BIN)/ruff check src tests bench tools
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python bench/features.py

format: $(READY)
	$(BIN)/ruff check --fix src tests bench tools
	$(BIN)/ruff format src tests bench tools

clean:
	rm -rf $(VENV) demo-out bench/out .pytest_cache .mypy_cache .ruff_cache .hypothesis
