"""``python -m bench.diagnosis``: what a diagnosis of very many failures costs, and how it grows.

Each number of failures is measured in a process of its own: the embed job's code (embeddings and
the deployed model's probabilities, from texts in an artifact to matrices) and then the whole
diagnosis, with 5,000 passing traces beside the failures. Loading the libraries and making up the
failures are not counted; peak memory is that of the whole process. Writes the JSON to ``--output``.
"""

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.failure_texts import Query, read_queries

GOAL_SECONDS = 120.0
GOAL_EXPONENT = 1.15
GOAL_MB = 4_000
SIZES = (10_000, 20_000, 50_000, 100_000)
ROOT = Path(__file__).resolve().parents[1]
# Real intents in ``--data``; what ships with the project serves when they are absent.
DATA = ("clinc150/train.jsonl", "banking77/train.jsonl")
SAMPLE = ROOT / "examples" / "support_desk" / "train.jsonl"


def main(
    data: Annotated[Path, typer.Option(help="Folder of data sets.")] = ROOT / "../shared/data",
    sizes: Annotated[str, typer.Option(help="Numbers of failures.")] = ",".join(map(str, SIZES)),
    output: Annotated[Path, typer.Option(help="Where the JSON goes.")] = (
        ROOT / "bench" / "results" / "diagnosis.json"
    ),
    one: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    if one is not None:
        from bench.diagnosis_case import measure

        print(json.dumps(measure(load_queries(data), one)))
        return
    rows = [_in_own_process(int(size), data) for size in sizes.split(",")]
    report = summary(rows) | {"machine": _machine(), "data": _sources(data), "rows": rows}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["goals"], indent=1))


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The goals with what was reached, from the smallest and the largest of the rows."""
    first, last = (pick(rows, key=lambda row: row["failures"]) for pick in (min, max))
    goals = {
        "seconds": _goal(last["total_seconds"], GOAL_SECONDS),
        "peak_mb": _goal(last["peak_mb"], GOAL_MB),
    }
    growth: dict[str, float] = {}
    if last["failures"] > first["failures"]:
        span = math.log(last["failures"] / first["failures"])
        exponent = math.log(last["total_seconds"] / first["total_seconds"]) / span
        goals["exponent"] = _goal(round(exponent, 3), GOAL_EXPONENT)
        growth = {
            stage: round(math.log(seconds / first["seconds"][stage]) / span, 3)
            for stage, seconds in last["seconds"].items()
            if seconds > 0 and first["seconds"].get(stage, 0) > 0
        }
    return {"failures": last["failures"], "goals": goals, "exponent_of_stage": growth}


def load_queries(data: Path) -> list[Query]:
    """Queries of the data sets that are there, else of the sample that ships with the project."""
    files = [data / name for name in DATA if (data / name).exists()]
    if not files:
        print(f"{data} holds none of {', '.join(DATA)}: using {SAMPLE}", file=sys.stderr)
    return read_queries(files or [SAMPLE])


def _sources(data: Path) -> list[str]:
    return [name for name in DATA if (data / name).exists()] or [SAMPLE.name]


def _in_own_process(size: int, data: Path) -> dict[str, Any]:
    start, load = time.perf_counter(), os.getloadavg()[0]
    command = [sys.executable, "-m", "bench.diagnosis", "--one", str(size), "--data", str(data)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    spent = time.perf_counter() - start
    print(f"{size:>7} failures: {row['total_seconds']} s, {spent:.0f} s in all", file=sys.stderr)
    # Others on the machine slow it down: the load tells whether it was alone.
    return row | {"load_before": round(load, 2)}


def _machine() -> dict[str, Any]:
    return {"cpus": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def _goal(value: float, at_most: float) -> dict[str, Any]:
    return {"value": value, "at_most": at_most, "reached": value <= at_most}


if __name__ == "__main__":
    typer.run(main)
