"""``python -m examples.demo [--data FOLDER] [--labels N]``: see the loop work on one machine."""

import asyncio
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from examples.demo.loop import run_demo
from examples.demo.screen import Screen
from examples.demo.workload import SAMPLE, Limits, load_workload
from shared.errors import PioneerError

# The sample is hard: with so many the first model is right about as often as the paper's (85 %).
SAMPLE_SEED_ROWS, SEED_ROWS = 20, 8


def main(
    data: Annotated[Path, typer.Option(help="Folder with train.jsonl and test.jsonl.")] = SAMPLE,
    labels: Annotated[int, typer.Option(help="At most so many labels, the most alike.")] = 30,
    seed_rows: Annotated[
        int | None, typer.Option(min=2, help="Rows for each label that train the first model.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("demo-report.json"),
    keep: Annotated[bool, typer.Option(help="Keep data and logs for a look.")] = False,
) -> None:
    """Exit code 0 only if a candidate passed the gate, was promoted, and is better."""
    console = Console()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    home = Path(tempfile.mkdtemp(prefix="pioneer-demo-"))
    screen = Screen(console)
    try:
        seeds = seed_rows or (SAMPLE_SEED_ROWS if data.resolve() == SAMPLE else SEED_ROWS)
        workload = load_workload(data, Limits(labels=labels, seed_rows=seeds))
        with screen.live():
            outcome = asyncio.run(run_demo(workload, home, screen))
    except KeyboardInterrupt:
        shutil.rmtree(home, ignore_errors=True)
        console.print("stopped; nothing is left running")
        sys.exit(130)
    except PioneerError as error:
        console.print(f"[red]error:[/red] {error}\nlogs: {home / 'logs'}", highlight=False)
        sys.exit(1)
    outcome.write(report)
    console.print(outcome.table())
    if outcome.succeeded and not keep:
        shutil.rmtree(home, ignore_errors=True)
        console.print(f"figures: {report}")
    else:
        console.print(f"figures: {report}, data and logs: {home}")
    sys.exit(0 if outcome.succeeded else 1)


if __name__ == "__main__":
    typer.run(main)
