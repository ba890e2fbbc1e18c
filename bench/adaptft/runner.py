"""Runs arms of scenarios and seeds in worker processes; only this process writes results."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from queue import Empty
from signal import SIGTERM
from threading import Thread
from time import monotonic
from typing import Any

from bench.adaptft.arms import AGENT, ARMS, StageOutcome, left_out, run_arm
from bench.adaptft.logs import ScenarioData, build
from bench.adaptft.phrases import Templates
from bench.adaptft.results import Entry, Results, digest_of, stage_row, triage_rows
from bench.adaptft.scenarios import Scenario, load_rows
from bench.adaptft.training import CPU, Checkpoint, Trainer
from shared.jobs.base_models import base_folder

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario with a seed: all that its arms share."""

    scenario: Scenario
    seed: int
    templates: Templates
    data: Path
    work: Path
    device: str = CPU

    def build(self) -> ScenarioData:
        """The logs. Raises BadInput when the data set is not there."""
        s = self.scenario
        rows = load_rows(s, self.data)
        return build(
            s.name,
            rows,
            s.sizes,
            seed=self.seed,
            templates=self.templates,
            learning=s.learning,
        )

    def trainer(self) -> Trainer:
        """What all its arms train with."""
        return Trainer(self.work, self.device)


@dataclass(frozen=True, slots=True)
class Unit:
    case: Case
    arm: str

    def __str__(self) -> str:
        return f"{self.case.scenario.name} seed {self.case.seed} {self.arm}"


@dataclass(frozen=True, slots=True)
class Finished:
    """One stage of one unit, as it is kept."""

    unit: Unit
    row: Entry
    triage: list[Entry]


def run_all(
    cases: Sequence[Case], arms: Sequence[str], results: Results, *, workers: int, say: Say
) -> None:
    """Every arm of every case that is not finished yet; stages are kept as soon as they are there.

    First models come first, since all arms start from them; the agent comes last and alone, since
    it brings its own processes. When a unit fails, the others go on and its error is raised after.
    """
    open_units: list[Unit] = []
    for case in cases:
        data = case.build()
        stages = {stage.number for stage in data.stages}
        for arm in arms:
            if why := left_out(arm, data.task):
                say(f"{data.name}: {arm} is left out: {why}")
                continue
            kept = results.finished(data.name, data.seed, arm, digest_of(data, case.device))
            if stages - kept:
                open_units.append(Unit(case, arm))
    say(f"{len(open_units)} of {len(cases) * len(arms)} arms are open")
    first = {unit.case for unit in open_units}
    # What a base model is made of once is there before two workers ask for it.
    for base in sorted({case.scenario.learning.base_model for case in first}):
        base_folder(base)
    with _workers(workers) as run:
        run([(_train_first, (case,)) for case in cases if case in first], results, say)
        run([(run_unit, (unit,)) for unit in open_units if unit.arm != AGENT], results, say)
    with _workers(1, one_thread=False) as run:
        run([(run_unit, (unit,)) for unit in open_units if unit.arm == AGENT], results, say)


def run_unit(unit: Unit) -> Iterator[Finished]:
    """All stages of one arm, from the first model's on."""
    data, trainer = unit.case.build(), unit.case.trainer()
    first = _first(data, trainer)
    outputs = trainer.predict(first, [row.text for row in data.test])
    start = StageOutcome(
        0, outputs, True, None, len(first.rows), round(first.trained.train_seconds, 1)
    )
    yield _finished(unit, data, start)
    if unit.arm == AGENT:
        from bench.adaptft.agent import run_agent

        outcomes = _waited(run_agent(data, first, trainer))
    else:
        outcomes = run_arm(ARMS[unit.arm], data, first, trainer)
    for outcome in outcomes:
        yield _finished(unit, data, outcome)


def _train_first(case: Case) -> Iterator[Finished]:
    _first(case.build(), case.trainer())
    return iter(())


def _first(data: ScenarioData, trainer: Trainer) -> Checkpoint:
    return trainer.train(data.clean, data.task, data.recipe)


def _finished(unit: Unit, data: ScenarioData, outcome: StageOutcome) -> Finished:
    row = stage_row(data, unit.arm, outcome, unit.case.device)
    return Finished(unit, row, triage_rows(data, unit.arm, outcome))


def _waited(outcomes: AsyncIterator[StageOutcome]) -> Iterator[StageOutcome]:
    """An async iterator's items, its work done in one event loop."""
    with asyncio.Runner() as runner:
        while outcome := runner.run(_next(outcomes)):
            yield outcome


async def _next(outcomes: AsyncIterator[StageOutcome]) -> StageOutcome | None:
    return await anext(outcomes, None)


Work = tuple[Callable[..., Iterator[Finished]], tuple[Any, ...]]
Run = Callable[[Sequence[Work], Results, Say], None]

# The queue of this worker process, set when it starts.
_QUEUE: list[Any] = []


@contextmanager
def _workers(count: int, *, one_thread: bool = True) -> Generator[Run]:
    context = get_context("spawn")
    queue = context.Queue()
    before = os.environ.get("OMP_NUM_THREADS")
    if one_thread:
        # Read when the numeric libraries are loaded, so it must be there before a worker starts.
        os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with ProcessPoolExecutor(
            count, mp_context=context, initializer=_prepare, initargs=(queue,)
        ) as pool:

            def run(work: Sequence[Work], results: Results, say: Say) -> None:
                futures = [pool.submit(_pass_on, function, given) for function, given in work]
                _collect(futures, queue, results, say)

            yield run
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _prepare(queue: Any) -> None:
    _QUEUE.append(queue)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would train on for nobody."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), SIGTERM)


def _pass_on(function: Callable[..., Iterator[Finished]], given: tuple[Any, ...]) -> int:
    count = 0
    for finished in function(*given):
        _QUEUE[0].put(finished)
        count += 1
    return count


def _collect(futures: Sequence["Future[int]"], queue: Any, results: Results, say: Say) -> None:
    start, seen = monotonic(), 0
    while True:
        # Asked before the queue is: what was put before the last unit ended is then in sight.
        ended = all(future.done() for future in futures)
        whole = ended and all(future.exception() is None for future in futures)
        if whole and seen == sum(future.result() for future in futures):
            return
        try:
            finished: Finished = queue.get(timeout=0.5)
        except Empty:
            if ended and not whole:
                break
            continue
        seen += 1
        results.add(finished.row, finished.triage)
        row = finished.row
        say(
            f"{monotonic() - start:6.0f} s  {finished.unit}: stage {row['stage']} "
            f"{row['score']:.4f} (noisy {row['score_noisy']:.4f}, clean {row['score_clean']:.4f})"
            f", {row['train_rows']} rows trained in {row['train_seconds']} s"
        )
    for future in futures:
        future.result()
