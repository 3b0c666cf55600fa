# Needs Python 3.11 or newer and nothing else. The environment is made in .venv.
PYTHON ?= python3.11
VENV ?= .venv
BACKENDS ?= tensorflow
# Two at a time, each one half of the tests in their order, for neighbours share runs; who is done first helps the other.
PYTEST_ARGUMENTS ?= -n 2 --dist worksteal

EXTRA_tensorflow = cpu
EXTRA_jax = jax
EXTRA_torch = torch

.DEFAULT_GOAL := help
.PHONY: help demo test slow soak lint clean

help:
	@echo "make demo   train a small ResNeXt on handwritten digits and report its accuracy"
	@echo "make test   run the tests; BACKENDS=\"tensorflow jax torch\" for all (default: $(BACKENDS))"
	@echo "make slow   run the tests that take minutes, on real photos if RESNEXT_DATA has them"
	@echo "make soak   kill trainings 200 times on each of BACKENDS and check that they resume to the same bytes"
	@echo "make lint   check format, style and types"
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
		KERAS_BACKEND=$$backend $(VENV)/bin/python -m pytest -m soak -n 2 tests/test_resume.py || exit 1; \
	done

lint: $(VENV)/installed-tensorflow
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright

$(VENV)/installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e ".[$(EXTRA_$*),plots,datasets,heic,hub,onnx,openvino,litert,serve,parquet,tensorboard,dev]"
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV)
