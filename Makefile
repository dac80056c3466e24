# Two commands do all the set-up:   make lab   (study)      make test   (check everything)
#
#   make lab PORT=8890        another port             make lab TORCH=cpu     CPU-only torch on Linux, 0.2 GB not 3
#   make lab COURSE_LESSONS=~/lessons                 your copies in another folder than my-lessons/
#   make lesson L=07          build one lesson         make doctor            is this machine ready?
#   make tour                 every lesson live in a browser, its controls moved, saved, reopened: minutes each
#   make tour L="07 12"       some                     make tour CHANGED=origin/main      what a change touches

PYTHON ?= python3
VENV   ?= .venv
PORT   ?=
TORCH  ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

# PyTorch's own index of CPU wheels; its +cpu versions win over the ordinary ones.
INDEX := $(if $(filter cpu,$(TORCH)),--extra-index-url https://download.pytorch.org/whl/cpu)
# Two workers share the cores, one thread each; a notebook stays on one worker, in order.
PYTEST := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: lab test tour lesson measure doctor clean

lab: $(VENV)/.installed
	@$(BIN)/course lab $(if $(PORT),--port $(PORT))

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python notebooks/build.py --check
	$(PYTEST) --nbval tests notebooks

tour: $(VENV)/.installed-test
	$(BIN)/python tests/tour.py $(L) $(if $(CHANGED),--changed $(CHANGED)) $(if $(SHOTS),--shots $(SHOTS))

lesson: $(VENV)/.installed-test
	$(BIN)/python notebooks/build.py $(L)

measure: $(VENV)/.installed-test
	$(BIN)/python notebooks/build.py --measure $(L)

doctor: $(VENV)/.installed
	$(BIN)/course doctor

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache *.egg-info

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; try: make lab PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet $(INDEX) -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(INDEX) -e '.[test]'
	touch $@
