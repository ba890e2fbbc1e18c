"""What came of an iteration: its candidates with their verdicts, as types."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from services.controller.domain.decision import Admission, Move
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import (
    Admitted,
    EvaluationReport,
    NotBetter,
    Regressed,
    TrafficGain,
    Unusable,
    Verdict,
)
from shared.domain.pipeline import DataSpec, Method, Recipe
from shared.errors import BadInput
from shared.events import Candidate, CandidateVerdict, Composition

NOTHING = (False, 0.0)

# A model that fails more often than this has more to learn than to keep: a blend with it, safest
# as it looks on few rows, gave up most of what was learned (docs/measurements.md, blends).
_WEAK = 0.1


@dataclass(frozen=True, slots=True)
class Judged:
    """A trained candidate with the gate's verdict; ``reason`` is the verdict in words."""

    candidate: Candidate
    verdict: Verdict
    reason: str

    @property
    def report(self) -> EvaluationReport | None:
        return None if isinstance(self.verdict, Unusable) else self.verdict.report

    @property
    def standing(self) -> tuple[bool, float]:
        """What results are compared by: admitted before refused, then the held-out score."""
        if self.report is None:
            return NOTHING
        return isinstance(self.verdict, Admitted), self.report.score


@dataclass(frozen=True, slots=True)
class IterationOutcome:
    """What one iteration tried and what came of it; ``recipes`` were asked for, trained or not.

    ``reason`` and ``origins`` are those of the decision that asked for it. ``composition``: how the
    training set came out. ``failed``: why trainings gave no candidate, by candidate.
    """

    iteration: int
    data: DataSpec
    recipes: tuple[Recipe, ...]
    move: Move
    training_set: ArtifactRef
    judged: tuple[Judged, ...]
    inference_seconds: float
    verified_at: datetime
    reason: str = ""
    origins: tuple[tuple[str, ...], ...] = ()
    composition: Composition | None = None
    failed: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def admitted(self) -> tuple[Admission, ...]:
        return tuple(
            Admission(j.candidate, j.verdict, self.training_set)
            for j in self.judged
            if isinstance(j.verdict, Admitted)
        )

    @property
    def trainings(self) -> tuple[Recipe, ...]:
        """The recipes that were trained, in order: blends are made by one of them."""
        return tuple(dict.fromkeys(recipe.training for recipe in self.recipes))

    @property
    def gpu_seconds(self) -> float:
        """Time that models took; a training that failed told none."""
        return self.inference_seconds + sum(j.candidate.train_seconds for j in self.judged)

    @property
    def evaluated(self) -> bool:
        return any(judged.report is not None for judged in self.judged)

    @property
    def score(self) -> float:
        """The best held-out score; a refused candidate's counts only when none was admitted."""
        return self.standing[1]

    @property
    def standing(self) -> tuple[bool, float]:
        """That of its best candidate."""
        return max((judged.standing for judged in self.judged), default=NOTHING)

    @property
    def breaks_too_much(self) -> bool:
        """Nothing was admitted, and the gate found regressions."""
        return not self.admitted and any(isinstance(j.verdict, Regressed) for j in self.judged)

    @property
    def in_words(self) -> str:
        return f"score {self.score:.3f}{'' if self.admitted else ' with nothing admitted'}"


def preferred(admissions: Iterable[Admission]) -> Admission | None:
    """The one that helps traffic most; of those within a standard error of it, the safest.

    Few rows cannot tell such candidates apart, and the best of many by chance is not the best
    (the one-standard-error rule, Breiman et al. 1984). Safest: the deployed model with another
    threshold, then blended with its parent unless that fails often, the highest score, the smaller
    blend, fewest regressions, LoRA (cheaper to serve), and the id.
    """
    known = [(admission, _gain(admission)) for admission in admissions]
    if not known:
        return None
    best = max((gain for _, gain in known), key=lambda gain: gain.mean)
    alike = [one for one, gain in known if gain.mean >= best.mean - best.error]

    def rank(admission: Admission) -> tuple[int, float, float, int, bool, str]:
        candidate, report = admission.candidate, admission.verdict.report
        strategy = candidate.recipe.strategy
        share, whole = strategy.blended, strategy.method is not Method.LORA
        blend = -1 if _gain(admission).failing > _WEAK else 1
        kept = 2 if candidate.calibrated else blend if share else 0
        return (-kept, -report.score, share, report.regressions, whole, candidate.id)

    return min(alike, key=rank)


def _gain(admission: Admission) -> TrafficGain:
    """Without the part of traffic that each row stands for, the held-out score must do."""
    report = admission.verdict.report
    return report.traffic or TrafficGain(report.score, report.score)


def judged(told: CandidateVerdict) -> Judged:
    """The message as a type. Raises BadInput when its outcome and its report do not fit."""
    return Judged(told.candidate, _verdict(told), told.reason)


def _verdict(told: CandidateVerdict) -> Verdict:
    report = told.report
    if told.outcome == "unusable":
        return Unusable(told.candidate.id, told.reason)
    if report is None or report.candidate != told.candidate.id:
        raise BadInput(
            f"verdict {told.outcome!r} of candidate {told.candidate.id!r} carries "
            f"{'no report' if report is None else f'the report of {report.candidate!r}'}: "
            "send the candidate's own"
        )
    match told.outcome:
        case "admitted":
            return Admitted(report)
        case "not_better":
            return NotBetter(report)
        case "regressed":
            return Regressed(report, _broken_sets(report))


def _broken_sets(report: EvaluationReport) -> tuple[str, ...]:
    # The message does not name the sets; those that lost rows are the ones in question.
    sets = (report.regression, *report.earlier, report.heldout)
    return tuple(s.name for s in sets if s.regressed)
