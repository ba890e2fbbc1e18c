"""``python -m bench.deployment clinc150``: a deployment before and after one improvement cycle."""

import asyncio
import json
import logging
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.command_line import told as told_command
from bench.deployment.entities import ENTITY_SETTINGS, build_entities
from bench.deployment.entity_figures import EntityFigures, entity_figures
from bench.deployment.figures import Figures, figures
from bench.deployment.story import Told, tell
from bench.deployment.traffic import SETTINGS, Deployment, build
from examples.demo.screen import Screen
from shared.domain.tasks import TaskKind
from shared.errors import PioneerError

SCENARIOS = (*SETTINGS, *ENTITY_SETTINGS)
RESULTS = Path(__file__).resolve().parents[1] / "results" / "deployment.json"
# How many requests a weak model's successor may break for each that it repairs; 0: ε alone counts.
BROKEN_PER_REPAIRED = "PIONEER_BROKEN_PER_REPAIRED"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure beside what it should be."""

    name: str
    goal: str
    found: float
    met: bool


def main(  # noqa: PLR0917 - typer calls it by name
    scenario: Annotated[str, typer.Argument(help=", ".join(SCENARIOS))] = "clinc150",
    data: Annotated[Path, typer.Option(help="Folder that holds clinc150/.")] = Path(
        "../shared/data"
    ),
    seed: Annotated[int, typer.Option(help="Draws intents, rows and planted labels.")] = 1,
    story: Annotated[bool, typer.Option(help="The deployment through the real services.")] = True,
    churn_seeds: Annotated[int, typer.Option(help="Seeds 1..N of the churn; 0 for none.")] = 3,
    most_requests: Annotated[int, typer.Option(help="Fewer requests of entities; 0: all.")] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="ε = 2 of a weak first model too; kept beside.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
    keep: Annotated[bool, typer.Option(help="Keep data and logs for a look.")] = False,
) -> None:
    """Exit code 0 when the story could be told, whatever its figures."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    console = Console()
    folder = data / scenario.partition("-")[0]
    if scenario not in SCENARIOS or not (folder / "train.jsonl").exists():
        console.print(
            f"scenario {scenario!r} in {data}: give one of {', '.join(SCENARIOS)}, and with --data "
            f"the folder that holds {folder.name}/train.jsonl"
        )
        sys.exit(2)
    home = Path(tempfile.mkdtemp(prefix="pioneer-deployment-"))
    report: dict[str, Any] = {}
    try:
        if story:
            deployment = _deployment(folder, scenario, seed, most_requests)
            screen = Screen(console)
            with screen.live():
                settings = {BROKEN_PER_REPAIRED: "0"} if strict else {}
                told = asyncio.run(tell(deployment, home, screen, settings))
            report["strict" if strict else "story"] = _told(deployment, told)
        if churn_seeds and scenario in SETTINGS:
            report["churn"] = _churn(folder, scenario, churn_seeds, console)
    except PioneerError as error:
        console.print(f"[red]error:[/red] {error}\nlogs: {home / 'logs'}", highlight=False)
        sys.exit(1)
    _write(out, scenario, report)
    for goal in (goal for part in report.values() for goal in part["goals"]):
        mark = "[green]met[/green]" if goal["met"] else "[red]missed[/red]"
        line = f"{mark}  {goal['name']}: {goal['found']:g} (goal {goal['goal']})"
        console.print(line, highlight=False)
    if keep:
        console.print(f"data and logs: {home}")
    else:
        shutil.rmtree(home, ignore_errors=True)
    console.print(f"figures: {out}")


def _deployment(folder: Path, scenario: str, seed: int, most_requests: int) -> Deployment:
    if scenario in SETTINGS:
        return build(folder, scenario, SETTINGS[scenario], seed=seed)
    deployment = build_entities(folder, scenario, ENTITY_SETTINGS[scenario], seed=seed)
    few = deployment.requests[: most_requests or None]
    return replace(deployment, requests=few)


def _told(deployment: Deployment, told: Told) -> dict[str, Any]:
    if deployment.kind is TaskKind.CLASSIFICATION:
        found = figures(deployment, told)
        return _story(deployment, told, found, _story_goals(found))
    # Loads torch, which takes seconds.
    from bench.deployment.gold import train_on_gold

    named = entity_figures(deployment, told, train_on_gold(deployment))
    return _story(deployment, told, named, _entity_goals(named, told.promoted))


def _story(
    deployment: Deployment, told: Told, found: Figures | EntityFigures, goals: Sequence[Goal]
) -> dict[str, Any]:
    return {
        "command": told_command("bench.deployment", sys.argv[1:]),
        "seed": deployment.seed,
        "labels": list(deployment.labels),
        "promoted": told.promoted,
        "reason": told.reason,
        "recipe": told.recipe,
        "iterations": told.iterations,
        "cycle_seconds": told.seconds,
        "figures": asdict(found),
        "goals": [asdict(goal) for goal in goals],
    }


def _churn(folder: Path, scenario: str, seeds: int, console: Console) -> dict[str, Any]:
    # Loads torch, which takes seconds.
    from bench.deployment.churn import measure_churn

    rows: list[dict[str, Any]] = []
    for seed in range(1, seeds + 1):
        for flips in measure_churn(build(folder, scenario, SETTINGS[scenario], seed=seed)):
            rows.append(asdict(flips))
            console.print(
                f"seed {seed} {flips.arm}: accuracy {flips.test_accuracy:.2%}, negative flips "
                f"{flips.test_flips:.2%} of the test, {flips.pass_flips:.2%} of fresh passes"
            )
            console.file.flush()
    means = _means(rows)
    goals = [asdict(goal) for goal in _churn_goals(means)]
    return {
        "command": told_command("bench.deployment", sys.argv[1:]),
        "seeds": seeds,
        "means": means,
        "goals": goals,
        "rows": rows,
    }


def _means(churn: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over the seeds by arm, and the flips as parts of plain's."""
    names = ("test_accuracy", "test_flips", "pass_flips", "heldout_fixed", "train_seconds")
    by_arm: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in churn:
        by_arm[row["arm"]].append(row)
    found = {
        arm: {name: round(mean(row[name] for row in rows), 5) for name in names}
        for arm, rows in by_arm.items()
    }
    for arm in found.values():
        for name in ("test_flips", "pass_flips"):
            arm[f"{name}_of_plain"] = round(arm[name] / found["plain"][name], 3)
    return found


def _story_goals(found: Figures) -> list[Goal]:
    fixed, unseen = found.paper_failures.share, found.heldout_failures.share
    r, broken = found.paper_passes.broken, found.unseen_passes.broken
    planted = found.planted
    return [
        Goal("failures fixed, as the paper counts", ">= 0.993", fixed, fixed >= 0.993),
        Goal("passes broken, as the paper counts", "<= 2", r, r <= 2),
        Goal("never-trained failures fixed", ">= 0.985", unseen, unseen >= 0.985),
        Goal("never-trained passes broken of 200", "<= 2", broken, broken <= 2),
        Goal("planted wrong labels reported", ">= 16", planted.reported, planted.reported >= 16),
        Goal("planted wrong labels learned", "0", planted.learned, planted.learned == 0),
    ]


def _entity_goals(found: EntityFigures, promoted: bool) -> list[Goal]:
    log, gained = found.log.f1_after, round(found.test.f1_after - found.test.f1_before, 4)
    broken = found.regressions if promoted and found.regressions is not None else -1
    return [
        Goal("entity F1 of the log, as the paper counts", ">= 0.81", log, log >= 0.81),
        Goal(
            "of plain fine-tuning on all gold rows", ">= 0.95", found.of_gold, found.of_gold >= 0.95
        ),
        Goal("entity F1 gained on the test", "> 0", gained, gained > 0),
        Goal("passes broken at the gate", "0 to 2", broken, 0 <= broken <= 2),
    ]


def _churn_goals(means: Mapping[str, Mapping[str, float]]) -> list[Goal]:
    """Half of the flips at an accuracy that is no lower."""
    plain = means["plain"]
    return [
        Goal(
            f"negative flips on the test, {arm}",
            "<= 0.5 of plain's",
            found["test_flips_of_plain"],
            found["test_flips_of_plain"] <= 0.5
            and found["test_accuracy"] >= plain["test_accuracy"],
        )
        for arm, found in means.items()
        if not arm.startswith("plain")
    ]


def _write(out: Path, scenario: str, report: Mapping[str, Any]) -> None:
    """What was not measured this time stays as it is."""
    known = json.loads(out.read_text()) if out.exists() else {}
    known[scenario] = known.get(scenario, {}) | report
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    typer.run(main)
