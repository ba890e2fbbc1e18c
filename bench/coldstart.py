"""``python -m bench.coldstart sms_spam``: from a sentence and rows to a served first version.

It goes through the real services, started here, by what ``pioneer start`` publishes. Beside it
plain fine-tuning on all rows, once, from labels alone. Both are asked a test that neither saw.
Seconds of training are those of one core: ``candidates`` all trainings together, ``waited`` the
slowest of each iteration; ``cost`` is what trainings and inference take at ``--hour-price``, which
is assumed: give the price of your machine. ``before`` is the answer that most rows have, given to
everything, ``zero_shot`` what the base model answers from names alone. Results are added to the
JSON file by scenario; ``--zero-shot-only`` adds that to a row that is there.

What writes is trained from Gemma 3 270M, as packaged, or from ``--base-model``.
"""

import asyncio
import json
import logging
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.coldstart_data import (
    PART_OF_PLAIN_SECONDS,
    SCENARIOS,
    SHARE_OF_PLAIN,
    Case,
    load_case,
)
from bench.command_line import told
from bench.zero_shot import zero_shot
from examples.demo.follow import Follower
from examples.demo.production import BASE_MODEL, RUN_SETTINGS, production, until_closed
from examples.demo.report import Stopwatch
from examples.demo.screen import Screen
from services.controller.domain.budget import HOUR
from services.controller.domain.cold_start import plain as plain_recipe
from services.controller.domain.moves import RecipeGrid
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import publishing
from shared.adapters.kafka_reader import LOOP_TOPICS, reading_topics
from shared.cli.task_files import located
from shared.domain.ids import derive_id
from shared.domain.rows import Row, dump_rows
from shared.errors import PermanentError, PioneerError
from shared.events import CandidatesTrained, Event, TaskPrepared, TaskSubmitted
from shared.job_specs import CandidateSpec, FailedCandidate, TrainSpec
from shared.jobs.base_models import GEMMA

# About what a core of a general machine costs in dollars; a GPU costs some.
HOUR_PRICE = 0.05
RESULTS = Path(__file__).resolve().parent / "results" / "coldstart.json"


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a cold start; ``score`` is None without a promotion."""

    outcome: str
    reason: str
    score: float | None
    locked_score: float | None
    target: float | None
    baseline: float | None
    rows: int
    locked: dict[str, int]
    recipe: str | None
    iterations: int
    candidates_seconds: float
    waited_seconds: float
    inference_seconds: float
    run_seconds: float


@dataclass(frozen=True, slots=True)
class Plain:
    """Plain fine-tuning on all rows."""

    score: float
    rows: int
    recipe: str
    train_seconds: float


class _Heard:
    """Keeps what is needed of the events, and shows all of them."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.prepared: TaskPrepared | None = None
        self.candidates_seconds = 0.0

    def __call__(self, event: Event) -> None:
        self._screen.show(event)
        match event:
            case TaskPrepared():
                self.prepared = event
            case CandidatesTrained():
                self.candidates_seconds += sum(c.train_seconds for c in event.candidates)
            case _:
                pass


async def start(
    case: Case, base_model: str, home: Path, screen: Screen, settings: dict[str, str]
) -> Started:
    """The cold start once; everything that was started has ended when this returns."""
    watch, heard = Stopwatch(), _Heard(screen)
    rows = home / "rows.jsonl"
    rows.write_text("\n".join(case.lines) + "\n", encoding="utf-8")
    async with (
        production(home, case.name, screen, watch, RUN_SETTINGS | settings) as running,
        reading_topics(running.settings, LOOP_TOPICS, from_start=True) as reader,
    ):
        ref, _, _ = located(running.artifacts, str(rows))
        event = TaskSubmitted(
            id=derive_id("coldstart", case.name, ref.sha256 if ref else ""),
            model=case.name,
            description=case.scenario.description,
            base_model=base_model,
            rows=ref,
            kind=case.task.kind,
            form=case.scenario.form,
        )
        async with publishing(running.settings, source="bench") as publisher:
            await publisher.publish(event)
        ended, verdict, version = await until_closed(Follower(reader, watch), heard)
        score = None
        if version is not None:
            await running.serving.wait_for_version(version, seconds=180)
            score = case.score(await running.serving.answers(case.test, log=False))
    prepared = heard.prepared
    return Started(
        outcome=ended.outcome,
        reason=ended.reason,
        score=None if score is None else round(score, 4),
        locked_score=round(verdict.report.score, 4) if verdict and verdict.report else None,
        target=prepared.target if prepared else None,
        baseline=prepared.baseline if prepared else None,
        rows=prepared.rows if prepared else 0,
        locked=prepared.parts if prepared else {},
        recipe=verdict.candidate.name if verdict else None,
        iterations=ended.iterations,
        candidates_seconds=round(heard.candidates_seconds, 1),
        waited_seconds=round(watch.training, 1),
        inference_seconds=round(watch.inference, 1),
        run_seconds=round(ended.seconds, 1),
    )


def plain_fine_tuning(case: Case, base_model: str) -> Plain:
    """All rows, one recipe, answers alone. Raises PermanentError when it cannot be trained."""
    # Loads torch, which takes seconds.
    from shared.jobs.predict import Predictor
    from shared.jobs.train import train_candidate

    rows = [Row(row.id, row.text, row.target) for row in case.rows]
    recipe = plain_recipe(RecipeGrid(), case.task, base_model, rows=len(rows))
    candidate = CandidateSpec(id=derive_id("plain", case.name), recipe=recipe)
    with tempfile.TemporaryDirectory(prefix="pioneer-plain-") as home:
        artifacts = FsspecArtifacts(home)
        spec = TrainSpec(
            task=case.task,
            training_set=artifacts.put(dump_rows(rows), name="training.jsonl"),
            candidates=(candidate,),
        )
        trained = train_candidate(spec, candidate, "plain", artifacts.uri, threads=1)
        if isinstance(trained, FailedCandidate):
            raise PermanentError(f"{recipe.name} could not be trained: {trained.reason}")
        predictor = Predictor.load(artifacts, trained.adapter)
        answers = [one.output for one in predictor.predict([e.text for e in case.test])]
    seconds = round(trained.train_seconds, 1)
    return Plain(round(case.score(answers), 4), len(rows), recipe.name, seconds)


def report(
    case: Case, started: Started, plain: Plain | None, *, hour_price: float
) -> dict[str, Any]:
    """The figures of one scenario, with the goals they are beside."""
    found: dict[str, Any] = {
        "measure": case.scenario.measure,
        "goal": case.scenario.goal,
        "labels": len(case.task.labels),
        "test_rows": len(case.test),
        "before": round(case.chance, 4),
        "cold_start": asdict(started),
        "cost": cost(started, hour_price),
    }
    found["plain"] = asdict(plain) if plain else None
    if plain and started.score is not None and plain.score:
        found["share_of_plain"] = round(started.score / plain.score, 4)
        found["part_of_plain_seconds"] = round(started.candidates_seconds / plain.train_seconds, 3)
    found["goals"] = goals(case, found)
    return found


def cost(started: Started, hour_price: float) -> dict[str, float]:
    """What all trainings and inference of the run take, as the controller's budget counts it."""
    seconds = started.candidates_seconds + started.inference_seconds
    return {"hour_price": hour_price, "money": round(seconds / HOUR * hour_price, 5)}


def goals(case: Case, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal of a scenario with what was reached; what was not reached at all is not met."""
    reached = found["cold_start"]["score"]
    if not case.scenario.relative:
        goal, met = case.scenario.goal, reached is not None and reached >= case.scenario.goal
        return [{"of": case.scenario.measure, "at_least": goal, "reached": reached, "met": met}]
    share, part = found.get("share_of_plain"), found.get("part_of_plain_seconds")
    return [
        {
            "of": "share of plain fine-tuning's score",
            "at_least": SHARE_OF_PLAIN,
            "reached": share,
            "met": share is not None and share >= SHARE_OF_PLAIN,
        },
        {
            "of": "part of plain fine-tuning's training time",
            "at_most": PART_OF_PLAIN_SECONDS,
            "reached": part,
            "met": part is not None and part <= PART_OF_PLAIN_SECONDS,
        },
    ]


def main(  # noqa: PLR0917 - typer calls it by name
    scenario: Annotated[str, typer.Argument(help=", ".join(SCENARIOS))],
    data: Annotated[Path, typer.Option(help="Folder of data sets.")] = Path("../shared/data"),
    seed: Annotated[int, typer.Option(help="Shuffles the rows.")] = 17,
    plain: Annotated[bool, typer.Option(help="Fine-tune plainly on all rows too.")] = True,
    most_rows: Annotated[int, typer.Option(help="Fewer rows, for a trial; 0: all.")] = 0,
    iterations: Annotated[
        int, typer.Option(help="Most iterations of the run; 0: as the scenario has them.")
    ] = 0,
    hour_price: Annotated[
        float, typer.Option(min=0, help="Money for an hour of a core or GPU.")
    ] = HOUR_PRICE,
    zero_shot_only: Annotated[
        bool, typer.Option("--zero-shot-only", help="Train nothing; ask the base model alone.")
    ] = False,
    base_model: Annotated[
        str, typer.Option(help="Hugging Face id or folder; empty: MiniLM, or the packaged Gemma.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    """Exit code 0 when a first version was promoted, whatever its score."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    console = Console()
    command = told("bench.coldstart", sys.argv[1:])
    if scenario not in SCENARIOS:
        console.print(f"scenario {scenario!r}: give one of {', '.join(SCENARIOS)}")
        sys.exit(2)
    home = Path(tempfile.mkdtemp(prefix="pioneer-coldstart-"))
    began = time.monotonic()
    try:
        case = load_case(data, scenario, seed=seed, most_rows=most_rows)
        base = base_model or (GEMMA if case.scenario.form else BASE_MODEL)
        untrained = {"zero_shot": round(case.score(zero_shot(case, base)), 4)}
        if zero_shot_only:
            _write(out, scenario, untrained | {"zero_shot_command": command}, beside=True)
            console.print_json(data=untrained)
            shutil.rmtree(home, ignore_errors=True)
            return
        screen = Screen(console)
        with screen.live():
            settings = {
                "PIONEER_MAX_ITERATIONS": str(iterations or case.scenario.iterations),
                "PIONEER_HOUR_PRICE": str(hour_price),
            }
            started = asyncio.run(start(case, base, home, screen, settings))
        whole = plain_fine_tuning(case, base) if plain else None
        found = report(case, started, whole, hour_price=hour_price)
    except PioneerError as error:
        console.print(f"[red]error:[/red] {error}\nlogs: {home / 'logs'}", highlight=False)
        sys.exit(1)
    total = round(time.monotonic() - began, 1)
    told_first = {"command": command, "zero_shot_command": command, "seconds": total}
    _write(out, scenario, told_first | found | untrained)
    console.print_json(data=found)
    shutil.rmtree(home, ignore_errors=True)
    sys.exit(0 if started.outcome == "promoted" else 1)


def _write(out: Path, scenario: str, found: dict[str, Any], *, beside: bool = False) -> None:
    """Other scenarios stay as they are; ``beside``: so does what else is known of this one."""
    known = json.loads(out.read_text()) if out.exists() else {}
    known[scenario] = (known.get(scenario, {}) if beside else {}) | found
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    typer.run(main)
