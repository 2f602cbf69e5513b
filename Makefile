# Each line is what a person would type. `make repro` and `make test` need Python 3.11+, git and make; no more.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin

# Set, it keeps Python from storing compiled modules, and TensorFlow then takes 20 s to import instead of 6.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(BIN):$(PATH)

.PHONY: repro test check quick bench soak ui lock clean

repro: .venv/ready
	dvc repro

test: .venv/ready
	pytest -m "" --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

quick: .venv/ready
	pytest

check: .venv/ready
	scripts/check

# Hours, on a quiet machine. Ray Tune is a peer alone, so the lock does not have what it needs.
bench: .venv/ready
	pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[bench]'
	python -m benchmarks.peers
	python -m benchmarks.target
	python -m benchmarks.growth

# A hundred random kills in a row; about an hour on 2 cores.
soak: .venv/ready
	python -m benchmarks.soak

ui: .venv/ready
	study ui

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --quiet -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .coverage
