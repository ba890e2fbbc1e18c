# Everything runs in .venv, with the versions of constraints.txt.
#   make demo                 the loop on the sample workload
#   make demo DATA=<folder>   the same on your train.jsonl and test.jsonl of {"text", "label"}
#   make test                 every test
#   make lint                 ruff, pyright, import contracts
#   make bench                throughput beside a raw loop, and the control plane's share of a run

PYTHON ?= python3
LABELS ?= 30
BIN := .venv/bin
READY := .venv/.ready

demo: $(READY)
	$(BIN)/python -m examples.demo --labels $(LABELS) $(if $(DATA),--data "$(DATA)")

# One thread for each process: what is divided is files, not matrices.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 \
		--dist loadfile tests/unit tests/flow
	$(BIN)/python -m pytest tests/connected tests/faults

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY)
	$(BIN)/python -m bench.throughput

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	PYTHON="$(PYTHON)" sh scripts/setup.sh

clean:
	rm -rf .venv demo-report.json

.PHONY: demo test lint bench clean
