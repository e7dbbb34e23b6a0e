# make demo    set up, run the main job on real input, write out/
# make test    set up, run the whole suite
#
# Everything happens in .venv, made from $(PYTHON) on first use. The package is installed there in
# editable form, so .venv always runs the code that you see; `make wheel-test` tests the other form.
# A stamp in .venv marks each set of extras that is installed; changing pyproject.toml or
# constraints.txt, or deleting .venv, installs again.

PYTHON ?= python3
VENV   := .venv
PEERS  := .peers
RUN    := $(VENV)/bin
PIP    := $(RUN)/python -m pip --disable-pip-version-check install -c constraints.txt

.PHONY: help demo test soak lint format types docs wheel-test peers clean distclean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo 'make demo        set up, run `vesalius tour` on real input, write out/'
	@echo 'make test        set up, run the whole test suite (TESTS=... to choose, e.g. TESTS="-k size")'
	@echo 'make soak        the property tests with thousands of random examples, and what takes hours'
	@echo 'make lint        ruff: rules and format'
	@echo 'make format      ruff: mend what it can'
	@echo 'make types       mypy'
	@echo 'make docs        the documentation, into docs/_build/html, warnings as errors'
	@echo 'make wheel-test  build the wheel and test it outside this tree'
	@echo 'make peers       .peers, with the libraries that the benchmarks compare with'
	@echo 'make clean       delete what the commands wrote; make distclean: also .venv and .peers'

demo: $(VENV)/stamp-run
	$(RUN)/vesalius tour

test: $(VENV)/stamp-test
	$(RUN)/python -m pytest $(TESTS)

soak: $(VENV)/stamp-test
	HYPOTHESIS_PROFILE=soak $(RUN)/python -m pytest -o timeout=0 -m "" $(TESTS)

lint: $(VENV)/stamp-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

format: $(VENV)/stamp-dev
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

types: $(VENV)/stamp-dev
	$(RUN)/mypy

docs: $(VENV)/stamp-docs
	$(RUN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo 'docs/_build/html/index.html'

wheel-test: $(VENV)/stamp-dev
	.ci/wheel-test $(RUN)/python

peers: $(PEERS)/stamp

clean:
	rm -rf out build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -not -path './.*' -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(PEERS)

# What each set-up needs: the package alone (run), or with one of its extras.
$(VENV)/stamp-run: pyproject.toml constraints.txt | $(VENV)/stamp-venv
	$(PIP) -e .
	@touch $@

$(VENV)/stamp-%: pyproject.toml constraints.txt | $(VENV)/stamp-venv
	$(PIP) -e '.[$*]'
	@touch $@

$(VENV)/stamp-venv:
	@$(call check_python)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(PEERS)/stamp: $(wildcard benchmarks/peers*.txt)
	@$(call check_python)
	@test -f benchmarks/peers.txt || { echo 'benchmarks/peers.txt is missing: it names the libraries to compare with.' >&2; exit 1; }
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip --disable-pip-version-check install -r benchmarks/peers.txt
	if [ -f benchmarks/peers-nodeps.txt ]; then \
	    $(PEERS)/bin/python -m pip --disable-pip-version-check install --no-deps -r benchmarks/peers-nodeps.txt; fi
	@touch $@

define check_python
command -v $(PYTHON) >/dev/null 2>&1 || { \
    echo 'There is no "$(PYTHON)". Vesalius needs Python 3.11 or later: make PYTHON=/path/to/python3 ...' >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "Vesalius needs Python 3.11 or later; \"$(PYTHON)\" is $$($(PYTHON) -V 2>&1). Choose another: make PYTHON=python3.11 ..." >&2; exit 1; }; \
$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
    echo '"$(PYTHON)" cannot make virtual environments: its modules venv and ensurepip are missing (on Debian and Ubuntu, the package python3-venv).' >&2; exit 1; }
endef
