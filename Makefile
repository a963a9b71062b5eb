# make repro   set up, run the pipeline, print the comparison
# make test    set up, lint, check types, run all tests
# make peers   our INT8 beside other quantizers' of the same weights -> docs/peers.md
# make peers-detect   our detectors beside Ultralytics' exports -> docs/peers-detect.md
# make smoke   the same graph in a temporary copy, tiny: minutes
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
.PHONY: repro test fast-test smoke peers peers-detect lint lock clean

repro: .venv/ready
	python scripts/repro.py
	dvc repro
	edgesmith compare

test: lint
	pytest -q
	pytest -q -m slow

fast-test: .venv/ready
	pytest -q

smoke: .venv/ready
	bash scripts/smoke.sh

peers: .venv/ready
	python -m benchmarks.peers

peers-detect: .venv/ready
	python -m benchmarks.peers.detect

lint: .venv/ready
	ruff check .
	ruff format --check .
	mypy

# Everything in one virtual environment, versions and hashes as locked; done once.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venv || { echo "missing venv module: apt-get install python3-venv"; exit 1; }
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --no-deps --compile-bytecode \
	  -r requirements.lock
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
	touch $@

# After a change of dependencies in pyproject.toml.
lock:
	uv pip compile --quiet pyproject.toml --extra build --extra detect --extra dev --extra device-onnx --extra serve-s3 --extra deliver-s3 \
	  --overrides requirements.overrides --universal --python-version 3.11 --generate-hashes \
	  --no-header -o requirements.lock

clean:
	rm -rf .venv tmp models artifacts data report benchmarks/peers/.envs benchmarks/peers/.work
