"""``pioneer runs``: list runs, show one with its iterations and verdicts, draw its graph."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.cli.environment import reading
from shared.errors import UnknownThing

if TYPE_CHECKING:
    from services.controller.domain.run import Run

app = typer.Typer(help="Inspect improvement runs.", no_args_is_help=True)
console = Console()


@app.command("list")
def list_runs(
    model: Annotated[str | None, typer.Option(help="Only runs of this model.")] = None,
) -> None:
    """All runs, newest first."""
    table = Table("run", "model", "started", "state", "iterations", "reason")
    for run in sorted(asyncio.run(_runs()), key=lambda r: r["started_at"], reverse=True):
        if model in (None, run["model"]):
            state = run["state"]
            table.add_row(
                run["id"],
                run["model"],
                run["started_at"],
                state["kind"],
                str(len(run["iterations"])),
                escape(state["reason"]),
            )
    console.print(table)


RunId = Annotated[str, typer.Argument(help="The run's id, or its first letters.")]


@app.command()
def show(
    run_id: RunId,
    log: Annotated[
        bool, typer.Option("--log", help="Every decision, with data, scores and reasons, as text.")
    ] = False,
) -> None:
    """One run: what each iteration changed, and what the gate said of each candidate."""
    run = _one(run_id)
    if log and not run.get("never_begun"):
        from services.controller.domain.run_log import run_log

        typer.echo(run_log(_read(run)), nl=False)
        return
    state = run["state"]
    reason = escape(state["reason"])
    console.print(f"run {run['id']} of {run['model']}: [bold]{state['kind']}[/bold], {reason}")
    if run.get("remedies"):
        console.print(_remedies(run["remedies"]))
    for iteration in run["iterations"]:
        data = iteration["data"]
        console.print(
            f"\niteration {iteration['iteration']} ({iteration['move']}): aim {data['size']} rows, "
            f"gold {data['gold']:.0%}, hard {data['hard']:.0%}, replay {data['replay']:.0%}"
        )
        table = Table("candidate", "verdict", "McNemar p", "warnings")
        for judged in iteration["judged"]:
            report = judged["verdict"].get("report") or {}
            p_value = f"{report['mcnemar_p']:.2g}" if report else "–"
            warnings = "; ".join(report.get("warnings", ()))
            table.add_row(judged["candidate"]["id"][:8], judged["reason"], p_value, warnings)
        console.print(table)


@app.command()
def graph(
    run_id: RunId,
    to: Annotated[
        Path | None, typer.Option(help="Where to write it; run-ID.svg if not given.")
    ] = None,
) -> None:
    """Draw one run's graph of pipelines as SVG: scores, verdicts, and what was changed."""
    from shared.cli.run_graph import draw

    run = _one(run_id)
    if run.get("never_begun"):
        raise UnknownThing(f"run {run['id']} never began, there is nothing to draw: see its reason")
    to = to or Path(f"run-{run['id'][:8]}.svg")
    to.write_text(draw(_read(run)), encoding="utf-8")
    typer.echo(str(to))


def _one(run_id: str) -> dict[str, Any]:
    found = [run for run in asyncio.run(_runs()) if run["id"].startswith(run_id)]
    if len(found) != 1:
        raise UnknownThing(f"{len(found)} runs begin with {run_id!r}: see pioneer runs list")
    return found[0]


def _read(run: dict[str, Any]) -> "Run":
    from services.controller.domain.run import Run

    return TypeAdapter(Run).validate_python(run)


def _remedies(remedies: list[dict[str, Any]]) -> Table:
    table = Table("remedy", "failures", "why", title="remedies, cheapest first")
    for remedy in remedies:
        kind = remedy["kind"].replace("_", " ")
        table.add_row(kind, str(remedy["failures"]), remedy["reason"])
    return table


async def _runs() -> list[dict[str, Any]]:
    """Every run, those of refused tasks too: a person asks for them by the same id."""
    async with reading() as documents:
        begun = [found["state"] for found in await documents.find("runs", {})]
        refused = [found["state"] for found in await documents.find("refused_tasks", {})]
    known = {run["id"] for run in begun}
    return begun + [_as_run(one) for one in refused if one["run_id"] not in known]


def _as_run(refusal: dict[str, Any]) -> dict[str, Any]:
    """A task whose run never began, as far as a run can be shown of it."""
    return {
        "id": refusal["run_id"],
        "model": refusal["model"],
        "started_at": refusal["at"],
        "state": {"kind": refusal["outcome"], "reason": refusal["reason"]},
        "iterations": (),
        "never_begun": True,
    }
