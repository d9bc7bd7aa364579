# make demo    the whole loop, told as a story     make demo ARGS="--once --json"
# make test    the whole test-suite                make test ARGS="-k sketch -n 0"
#              on a slow machine, more kills: PATIENCE=4 make test, THOROUGH=1 make test
# make test-boot  real boots: amd64     make test-boot ARGS="--arch arm64"
# make faults  what must not hurt a device  make faults ARGS="kills --runs 100"
# make faults-network  bad networks: releases, reports and telemetry come through (root)
# make check   format, lint, types, architecture
# make torch   adds PyTorch, for the tests of its way in
# make judges  adds MediaPipe and TensorFlow.js, for the tests of phones and browsers
# make bench   every script of benchmarks/         make bench ARGS=swap
# make peers   the servers that serve is compared with, and the environment of a device
# make docs    writes the generated parts of docs/ anew, and the packages' settings

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-boot torch judges peers faults faults-network check bench docs format clean

BIN := .venv/bin
ARGS ?=

# The converter's TensorFlow has wheels for 3.11 to 3.13: one of them first, then any later one.
define find_python
for p in python3 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p" && exit; \
done; \
for p in python3 python3.14; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && exit; \
done; true
endef
PYTHON ?= $(shell $(find_python))

help:
	@sed -n 's/^# //p' Makefile | head -12

demo: .venv/.installed .venv/.mosquitto
	@$(BIN)/python demo/story.py $(ARGS)

test: .venv/.installed .venv/.mosquitto .venv/.chromium
	@$(BIN)/python -m pytest -n auto $(ARGS)

# Root, and Debian's tools: it says what is missing. A foreign architecture runs below qemu.
test-boot: .venv/.installed .venv/.mosquitto
	@packaging/system-packages debootstrap systemd-container iproute2 gcc \
	  $(if $(findstring arm64,$(ARGS)),qemu-user-static binfmt-support)
	@PYTHONPATH=tests:demo:packaging $(BIN)/python -m boot $(ARGS)

# Long: tests/faults/run.py says what there is. Root, for it traces what it kills.
faults: .venv/.installed
	@packaging/system-packages strace
	@$(BIN)/python tests/faults/run.py $(or $(ARGS),kills)

faults-network: .venv/.installed .venv/.mosquitto
	@packaging/system-packages iproute2 gcc
	@$(BIN)/python tests/faults/run.py network $(ARGS)

check: .venv/.installed
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/python -m pytest -q tests/test_architecture.py

bench: .venv/.installed
	@$(BIN)/python benchmarks/run.py $(ARGS)

docs: .venv/.installed
	@$(BIN)/python docs/make.py
	@PYTHONPATH=packaging $(BIN)/python -m deb.conffiles

format: .venv/.installed
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean:
	rm -rf .venv demo/.work .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

.venv/.made:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  echo "error: expected Python 3.11 or later, found none of python3, python3.11 … python3.14;" \
	    "install one, or say make PYTHON=/path/to/it [python]" >&2; exit 1; \
	fi; \
	version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || packaging/system-packages "python$$version-venv"; \
	echo "making .venv with $$python ($$version)" >&2; \
	rm -rf .venv; \
	if ! "$$python" -m venv .venv >&2; then \
	  echo "error: $$python cannot make a virtual environment; run: apt-get install python$$version-venv [venv]" >&2; \
	  exit 1; \
	fi
	@touch $@

UNBOUND := converter/littoral_converter/without-dependencies.txt tests/without-dependencies.txt

.venv/.installed: .venv/.made pyproject.toml $(UNBOUND)
	@echo "installing littoral and what it needs into .venv (about three minutes, 3 GB)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -e '.[dev]' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps $(UNBOUND:%=-r %) >&2
	@touch $@

# PyTorch's way in is tested where PyTorch is: it weighs as much as all the rest.
torch: .venv/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -e '.[dev,torch]' >&2

# What others say of what is exported, and no test needs to run: MediaPipe Tasks in a Python of its own.
judges: .venv/.installed
	@$(BIN)/python -m venv .venv/mediapipe
	@.venv/mediapipe/bin/pip install --quiet --disable-pip-version-check --no-input mediapipe >&2
	@cd .venv && npm pack --silent @tensorflow/tfjs@4.22.0 >/dev/null \
	  && tar xzf tensorflow-tfjs-4.22.0.tgz --strip-components=2 package/dist/tf.min.js \
	  && rm tensorflow-tfjs-4.22.0.tgz

# Each in an environment of its own, for they do not agree on what they need: 2 GB below build/.
PEERS := $(patsubst benchmarks/peers/%.txt,build/peers/%/.installed,$(wildcard benchmarks/peers/*.txt))

peers: $(PEERS)

build/peers/%/.installed: benchmarks/peers/%.txt .venv/.installed
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-input -r $< >&2
	@touch $@

# What stays missing is looked for again next time, in case somebody installed it by hand.
.venv/.mosquitto .venv/.chromium: .venv/.made
	@packaging/system-packages $(@F:.%=%)
	@! { command -v $(@F:.%=%) || test -x /usr/sbin/$(@F:.%=%); } >/dev/null || touch $@
