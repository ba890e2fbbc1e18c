"""``python -m examples.demo [--data FOLDER] [--labels N]``: see the loop work on one machine."""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from examples.demo.loop import run_demo
from examples.demo.report import Report
from examples.demo.screen import Screen
from examples.demo.workload import SAMPLE, Limits, load_workload
from shared.errors import PioneerError


def main(
    data: Annotated[Path, typer.Option(help="Folder with train.jsonl and test.jsonl.")] = SAMPLE,
    labels: Annotated[int, typer.Option(help="At most so many labels, the most alike.")] = 30,
    report: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("demo-report.json"),
    keep: Annotated[bool, typer.Option(help="Keep data and logs for a look.")] = False,
) -> None:
    """Exit code 0 only if a candidate passed the gate, was promoted, and is better."""
    console = Console()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    home = Path(tempfile.mkdtemp(prefix="pioneer-demo-"))
    screen = Screen(console)
    outcome: Report | None = None
    try:
        workload = load_workload(data, Limits(labels=labels))
        with screen.live():
            outcome = asyncio.run(run_demo(workload, home, screen))
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        sys.exit(130)
    except PioneerError as error:
        console.print(f"[red]error:[/red] {error}\nlogs: {home / 'logs'}", highlight=False)
        sys.exit(1)
    finally:
        if outcome and outcome.succeeded and not keep:
            _remove(home)
    outcome.write(report)
    console.print(outcome.table())
    console.print(f"figures: {report}" + ("" if outcome.succeeded else f", logs: {home / 'logs'}"))
    sys.exit(0 if outcome.succeeded else 1)


def _remove(home: Path) -> None:
    import shutil

    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
