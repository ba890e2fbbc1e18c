"""Runs the strategies of cases one after another; what is finished is kept and not run again."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.search.case import Case
from bench.search.results import Entry, Results, entry
from bench.search.situation import Situation, diagnosed
from bench.search.strategies import STRATEGIES, Rules
from bench.search.trial import improved
from bench.search.workshop import LocalWorkshop, Workshop
from services.controller.domain.decision import Promote
from shared.domain.artifacts import ArtifactRef


@dataclass(frozen=True, slots=True)
class Bench:
    """``work`` holds models, a folder for each case; ``command`` is told in the results."""

    results: Results
    rules: Rules
    work: Path
    command: str
    say: Callable[[str], None]
    workshop: Callable[[Path], Workshop] = LocalWorkshop

    def run(self, cases: Sequence[Case]) -> None:
        """Every strategy of every case. A case's models are deleted when all are finished."""
        for case in cases:
            folder = self.work / f"search-{case.name}-{case.seed}"
            for row in self._rows(case, folder):
                self.results.add(row, command=self.command, rules=self.rules)
                self.say(told(row))
            # Three gigabytes a case; what is told of it is in the results.
            shutil.rmtree(folder, ignore_errors=True)

    def _rows(self, case: Case, folder: Path) -> Iterator[Entry]:
        waiting = [s for s in STRATEGIES if self.results.find(case, s, self.rules) is None]
        self.say(f"{case.name} seed {case.seed}: {len(waiting)} of {len(STRATEGIES)} are open")
        if not waiting:
            return
        workshop = self.workshop(folder)
        situation = diagnosed(case, workshop, self.rules.limits)
        before = _accuracy(case, situation.deployed.version.adapter, workshop)
        event = situation.event
        self.say(
            f"  accuracy {before:.4f} before; {event.failures} failures: {event.repair} to learn, "
            f"{event.heldout} held out, {event.quarantined} quarantined"
        )
        for name in waiting:
            yield self._row(case, name, situation, workshop, before)

    def _row(
        self, case: Case, name: str, situation: Situation, workshop: Workshop, before: float
    ) -> Entry:
        rules = self.rules
        way = STRATEGIES[name](situation, rules, f"{case.name}:{case.seed}:{name}")
        ended = improved(way, situation, workshop, rules.limits)
        after = before
        if isinstance(ended.decision, Promote):
            # The only look at the test, when all is decided.
            after = _accuracy(case, ended.decision.admission.candidate.adapter, workshop)
        return entry(case, name, rules, ended, before=before, after=after)


def told(row: Entry) -> str:
    """A row in a line, for the screen."""
    return (
        f"  {row['strategy']}: accuracy {row['accuracy']:.4f}, score {row['score']}, "
        f"{row['trainings']} trainings in {row['seconds']:.0f} s; {row['chosen']}"
    )


def _accuracy(case: Case, adapter: ArtifactRef, workshop: Workshop) -> float:
    said = workshop.answers(adapter, [row.text for row in case.test])
    right = sum(row.target == output for row, output in zip(case.test, said, strict=True))
    return right / len(case.test)
