"""What an iteration is composed of: the files of its diagnosis, and what the gate will ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from shared.domain.patterns import ErrorPattern, RootCause, Standing
from shared.domain.rows import (
    EvalPart,
    EvalRow,
    FailureRow,
    Role,
    Row,
    TrainingRow,
    guarded,
    load_rows,
    released,
)
from shared.domain.triage import Family
from shared.errors import BadInput
from shared.events import IterationRequested
from shared.learned import learned_rows
from shared.ports import ArtifactStore

# The rows of a task that was never trained.
ROWS = "rows.jsonl"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Rows of a diagnosis with their vectors, float32 [failures + passes, d].

    ``teachable`` are the patterns that more rows could help, largest first; ``measured`` the texts
    that nothing may be trained on.
    """

    failures: Sequence[FailureRow]
    passes: Sequence[Row]
    vectors: npt.NDArray[np.float32]
    parent: Sequence[Row]
    made: Sequence[TrainingRow]
    noise: dict[Family, float]
    teachable: Sequence[ErrorPattern]
    measured: Sequence[str]


@dataclass(frozen=True, slots=True)
class FirstInputs:
    """Rows that a first version is made of, and the texts that nothing may be trained on."""

    rows: Sequence[Row]
    measured: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Confirmation:
    pattern: str
    standing: Standing


_NOISE = TypeAdapter(dict[Family, float])
_PATTERNS = TypeAdapter(tuple[ErrorPattern, ...])
_CONFIRMATIONS = TypeAdapter(tuple[_Confirmation, ...])


def read_inputs(artifacts: ArtifactStore, event: IterationRequested) -> Inputs:
    """The inputs of an iteration. Raises BadInput when a file is missing or of another kind."""
    files = artifacts.get_folder(event.diagnosis)
    try:
        failures = load_rows(files["repair.jsonl"], FailureRow)
        passes = load_rows(files["passes.jsonl"], Row)
        # Never unpickle: the file came from outside this process.
        vectors = np.load(BytesIO(files["embeddings.npy"]), allow_pickle=False)
    except KeyError as missing:
        raise BadInput(f"diagnosis {event.diagnosis} has no file {missing}") from None
    return Inputs(
        failures=failures,
        passes=passes,
        vectors=vectors,
        parent=learned_rows(artifacts, event.deployed),
        made=load_rows(files.get("made.jsonl", b""), TrainingRow) + _held_out(artifacts, event),
        noise=_NOISE.validate_json(files.get("noise.json", b"{}")),
        teachable=_teachable(files),
        measured=[row.text for row in _measured(artifacts, event)],
    )


def read_first(artifacts: ArtifactStore, event: IterationRequested) -> FirstInputs:
    """The inputs of a cold start's iteration. Raises BadInput as ``read_inputs``."""
    files = artifacts.get_folder(event.diagnosis)
    if ROWS not in files:
        raise BadInput(f"material {event.diagnosis} has no file {ROWS!r}")
    measured = load_rows(artifacts.get(event.evaluation_set), EvalRow)
    return FirstInputs(load_rows(files[ROWS], Row), [row.text for row in measured])


def _measured(artifacts: ArtifactStore, event: IterationRequested) -> list[EvalRow]:
    """What the gate of this run will ask, but for rows that may be learned by now."""
    rows = load_rows(artifacts.get(event.evaluation_set), EvalRow)
    if event.data.heldout:
        rows = guarded(rows)
    for ref in event.deployed.earlier_evaluations:
        rows += guarded(load_rows(artifacts.get(ref), EvalRow))
    return rows


def _held_out(artifacts: ArtifactStore, event: IterationRequested) -> list[TrainingRow]:
    """The run's own held-out failures and passes on loan, where a twin was admitted without."""
    if not event.data.heldout:
        return []
    rows = load_rows(artifacts.get(event.evaluation_set), EvalRow)
    failures = {row.id for row in rows if row.part is EvalPart.HELDOUT}
    why = "held out until a candidate was admitted without it"
    return [
        TrainingRow(
            row.id,
            row.text,
            row.target,
            Role.GOLD if row.id in failures else Role.REPLAY,
            "held out",
            why,
        )
        for row in released(rows)
    ]


def _teachable(files: dict[str, bytes]) -> list[ErrorPattern]:
    patterns = _PATTERNS.validate_json(files.get("patterns.json", b"[]"))
    confirmed = _CONFIRMATIONS.validate_json(files.get("confirmations.json", b"[]"))
    spurious = {one.pattern for one in confirmed if one.standing is Standing.SPURIOUS}
    return [
        pattern
        for pattern in patterns
        if pattern.fixable
        and pattern.cause is not RootCause.WRONG_REFERENCE
        and pattern.id not in spurious
    ]
