"""What the policy can decide. Only an admitted candidate fits into a promotion."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import Admitted
from shared.domain.pipeline import DataSpec, Recipe
from shared.events import Candidate


class Move(StrEnum):
    """What an iteration changes of the pipeline, named as in the policy table (paper §2.4).

    ``evolve`` and ``fuse`` are answers to stagnation (§2.2): a different approach that keeps what
    worked, and what the best of different branches have, in one.
    """

    FIRST = "first"
    REBUILD = "rebuild_data"
    TUNE = "tune"
    SURGICAL = "surgical"
    PROTECT = "protect"
    ROLL_BACK = "roll_back"
    REFIT = "refit"
    EVOLVE = "evolve"
    FUSE = "fuse"


@dataclass(frozen=True, slots=True)
class Admission:
    """A candidate the gate let through, and the training set it learned from."""

    candidate: Candidate
    verdict: Admitted
    training_set: ArtifactRef

    def __post_init__(self) -> None:
        if self.verdict.report.candidate != self.candidate.id:
            raise ValueError(
                f"verdict of candidate {self.verdict.report.candidate!r} cannot admit "
                f"{self.candidate.id!r}: give its own"
            )

    @property
    def score(self) -> float:
        return self.verdict.report.score


@dataclass(frozen=True, slots=True)
class Iterate:
    """Train these recipes on a training set composed as ``data``.

    ``origins``: for each training the pipelines of the run that it was made from, by their names in
    its graph; empty for the first iteration, which is made from what is deployed. ``twins``:
    candidates whose recipes are trained again, with what was held out.
    """

    data: DataSpec
    recipes: tuple[Recipe, ...]
    move: Move
    reason: str
    origins: tuple[tuple[str, ...], ...] = ()
    twins: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Promote:
    admission: Admission
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run; the deployed version stays."""

    reason: str


Decision = Iterate | Promote | Stop
