# Needs Python 3.11 or newer and nothing else. The environment is made in .venv.
# The first Python that runs and can make an environment; the shims of version managers exist for Pythons that do not.
PYTHONS = python3.11 python3.12 python3.13 python3 python
PYTHON ?= $(shell for python in $(PYTHONS); do $$python -c \
	"import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))" 2> /dev/null && echo $$python && break; done)
VENV ?= .venv
BACKENDS ?= tensorflow
# Two at a time, each one half of the tests in their order, for neighbours share runs; who is done first helps the other.
PYTEST_ARGUMENTS ?= -n 2 --dist worksteal

EXTRA_tensorflow = cpu
EXTRA_jax = jax
EXTRA_torch = torch

.DEFAULT_GOAL := help
.PHONY: help demo test slow soak lint lock clean

help:
	@echo "make demo   train a small ResNeXt on handwritten digits and report its accuracy"
	@echo "make test   run the tests; BACKENDS=\"tensorflow jax torch\" for all (default: $(BACKENDS))"
	@echo "make slow   run the tests that take minutes, on real photos if RESNEXT_DATA has them"
	@echo "make soak   kill trainings 200 times on each of BACKENDS and check that they resume to the same bytes"
	@echo "make lint   check format, style and types"
	@echo "make lock   pin what pyproject.toml newly names; UPGRADE=--upgrade for the newest versions of everything"
	@echo "make clean  remove the environment"

demo: $(VENV)/installed-tensorflow
	KERAS_BACKEND=tensorflow $(VENV)/bin/resnext train digits --image-size 32 --crop centre \
		--out runs/demo-$$(date +%Y%m%d-%H%M%S)

test: $(BACKENDS:%=$(VENV)/installed-%)
	@for backend in $(BACKENDS); do \
		echo "== tests on $$backend"; \
		KERAS_BACKEND=$$backend $(VENV)/bin/python -m pytest -m "not slow and not soak" $(PYTEST_ARGUMENTS) || exit 1; \
	done

slow: $(BACKENDS:%=$(VENV)/installed-%)
	@for backend in $(BACKENDS); do \
		echo "== slow tests on $$backend"; \
		KERAS_BACKEND=$$backend $(VENV)/bin/python -m pytest -m slow $(PYTEST_ARGUMENTS) || exit 1; \
	done

soak: $(BACKENDS:%=$(VENV)/installed-%)
	@for backend in $(BACKENDS); do \
		echo "== 200 kills on $$backend"; \
		KERAS_BACKEND=$$backend $(VENV)/bin/python -m pytest -m soak -n 2 tests/promises/test_resume.py || exit 1; \
	done

lint: $(VENV)/installed-tensorflow
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright

# Every package is pinned, those that build this one as well: the environment of today can be made next year.
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt
EXTRAS = plots,datasets,heic,dicom,hub,onnx,openvino,litert,serve,parquet,tensorboard,dev

$(VENV)/installed-%: pyproject.toml requirements.txt | $(VENV)/bin/python
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation -e ".[$(EXTRA_$*),$(EXTRAS)]"
	@touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "no Python from 3.11 on was found that can make an environment (venv, ensurepip)." \
		"Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The trackers of experiments are not pinned: trackio would hold Pillow below 13.
LOCKED = cpu tensorflow jax torch ray build $(subst $(comma), ,$(EXTRAS))
comma = ,

lock: $(VENV)/installed-tensorflow
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 $(LOCKED:%=--extra %) --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" $(UPGRADE) pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV)
