"""``python -m bench.search SCENARIO…``: does the search over pipelines earn its trainings?

Search, a fixed recipe and random search on equal budgets, offline and without services. Writes
``bench/results/search.json`` after every strategy, and a table beside it. What is there already is
not run again; two processes may write one file if they run different scenarios.
"""

import os
import sys
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from bench.command_line import told
from bench.search.case import load
from bench.search.results import Results
from bench.search.runner import Bench
from bench.search.strategies import Rules
from bench.search.tables import report
from services.controller.domain.budget import FEWEST
from services.controller.domain.moves import DataGrid
from shared.errors import PioneerError

SCENARIOS = ("banking77", "clinc150", "snips")
RESULTS = Path(__file__).resolve().parents[1] / "results" / "search.json"


def main(  # noqa: PLR0917 - typer calls it by name
    scenarios: Annotated[
        list[str] | None, typer.Argument(help=f"Of AdaptFT-Bench; default {', '.join(SCENARIOS)}.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 1 to N, which draw the rows.")] = 3,
    trainings: Annotated[int, typer.Option(min=FEWEST, help="Each strategy's budget.")] = 8,
    most_rows: Annotated[
        int, typer.Option(min=300, help="The largest training set any strategy may ask for.")
    ] = DataGrid().sizes[1],
    data: Annotated[Path, typer.Option(help="Folder of the data sets.")] = Path("../shared/data"),
    work: Annotated[Path | None, typer.Option(help="Folder for models.")] = None,
    out: Annotated[Path, typer.Option(help="The results file.")] = RESULTS,
) -> None:
    start = monotonic()
    results = Results(out)
    bench = Bench(
        results,
        Rules.of(trainings, most_rows=most_rows),
        (work or _default_work()).resolve(),
        told("bench.search", sys.argv[1:]),
        _say,
    )
    try:
        for name in scenarios or SCENARIOS:
            bench.run([load(name, data, seed=seed) for seed in range(1, seeds + 1)])
    except PioneerError as error:
        _say(f"error: {error}")
        raise typer.Exit(1) from None
    table = report(results.content)
    out.with_suffix(".md").write_text(table, encoding="utf-8")
    _say(f"{out} with .md after {monotonic() - start:.0f} s")
    print(table)


def _default_work() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "pioneer" / "search"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
