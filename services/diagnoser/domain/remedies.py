"""Remedies for failures, cheapest first; each failure counts for its cheapest (paper §5.2.3)."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from services.diagnoser.domain.background import Background
from services.diagnoser.domain.label_bias import check_bias
from shared.domain.near_duplicates import normalise
from shared.domain.patterns import ErrorPattern, Remedy, RemedyKind
from shared.domain.traces import JudgedTrace
from shared.domain.triage import EXTERNAL_FAMILIES, Family, TriageKind

Probabilities = npt.NDArray[np.float16] | npt.NDArray[np.float32]

_FEW_PASSES = 30
# A bias that repairs less, or breaks much beside, only moves the boundary between two labels.
_WORTHWHILE = 0.1
_REPAIRED_FOR_ONE_BROKEN = 3
_NAMED_LABELS = 5
_CONFIDENT = 0.8
_MOST = 0.5
# Probabilities of another version than the one that answered explain nothing.
_EXPLAINED = 0.95


@dataclass(frozen=True, slots=True)
class Scores:
    """The deployed model's probabilities: [failures, labels] and [passes, labels]."""

    labels: tuple[str, ...]
    failing: Probabilities
    passing: Probabilities


def find_remedies(
    patterns: Sequence[ErrorPattern],
    failures: Sequence[JudgedTrace],
    background: Background,
    *,
    labels: Sequence[str],
    scores: Scores | None = None,
    spurious: Collection[str] = (),
    breakable: float = 0.0,
    seed: int = 0,
) -> tuple[Remedy, ...]:
    """What to do about the failures, cheapest first, with figures.

    Poison counts for no remedy, nor do failures of the ``spurious`` patterns. ``breakable``: the
    share of passes a calibration may break, what ε is of a trained candidate's regression set.
    Without ``scores`` none can be looked for. Raises ValueError when scores do not fit the rows.
    """
    ledger = _Open(patterns, failures, background, spurious)
    found = [
        _reference_labels(ledger),
        _calibration(ledger, scores, breakable, seed) if scores else None,
        _schema(ledger, labels),
        *_training(ledger, patterns, background),
    ]
    return tuple(remedy for remedy in found if remedy is not None)


class _Open:
    """The failures no remedy was found for yet."""

    def __init__(
        self,
        patterns: Sequence[ErrorPattern],
        failures: Sequence[JudgedTrace],
        background: Background,
        spurious: Collection[str],
    ) -> None:
        self.failures = failures
        self.background = background
        self.verdicts = background.verdicts
        self._pattern_of = {member: p.id for p in patterns for member in p.members}
        self.open: dict[int, JudgedTrace] = {
            at: failure
            for at, failure in enumerate(failures)
            if self._pattern_of.get(failure.id) not in spurious
            and not self._is(failure, TriageKind.POISON)
        }
        self.honest = len(self.open)

    def family(self, failure: JudgedTrace) -> Family | None:
        verdict = self.verdicts.get(failure.id)
        return verdict.family if verdict else None

    def close(
        self,
        kind: RemedyKind,
        positions: Sequence[int],
        reason: str,
        biases: tuple[tuple[str, float], ...] = (),
    ) -> Remedy | None:
        """The remedy of these failures, which are open no longer; None without any."""
        taken = [self.open.pop(at) for at in positions]
        concerned = Counter(
            self._pattern_of[failure.id] for failure in taken if failure.id in self._pattern_of
        )
        ranked = tuple(sorted(concerned, key=lambda id_: (-concerned[id_], id_)))
        return Remedy(kind, len(taken), reason, ranked, biases) if taken else None

    def _is(self, failure: JudgedTrace, kind: TriageKind) -> bool:
        verdict = self.verdicts.get(failure.id)
        return verdict is not None and verdict.kind is kind


def _reference_labels(ledger: _Open) -> Remedy | None:
    families = {at: ledger.family(failure) for at, failure in ledger.open.items()}
    external = EXTERNAL_FAMILIES - {Family.SCHEMA_MISMATCH}
    taken = [at for at, family in families.items() if family in external]
    counted = Counter(family.value for at in taken if (family := families[at]))
    said = ", ".join(
        f"{count} {family.replace('_', ' ')}" for family, count in sorted(counted.items())
    )
    reason = f"correct or define these references, then look again: {said}"
    return ledger.close(RemedyKind.REFERENCE_LABELS, taken, reason)


def _calibration(ledger: _Open, scores: Scores, breakable: float, seed: int) -> Remedy | None:
    column = {label: at for at, label in enumerate(scores.labels)}
    passes = ledger.background.passes
    for name, matrix, rows in (
        ("failing", scores.failing, ledger.failures),
        ("passing", scores.passing, passes),
    ):
        if matrix.shape != (len(rows), len(column)):
            raise ValueError(f"{name} scores {matrix.shape}: ({len(rows)}, {len(column)}) needed")
    taken = [at for at, failure in ledger.open.items() if failure.corrected in column]
    kept = [at for at, trace in enumerate(passes) if trace.corrected in column]
    if not taken or len(kept) < _FEW_PASSES or not _explained(ledger, scores, taken, column):
        return None
    check = check_bias(
        scores.failing[taken],
        [column[ledger.failures[at].corrected] for at in taken],
        scores.passing[kept],
        [column[passes[at].corrected] for at in kept],
        breakable=breakable,
        seed=seed,
    )
    repaired = [at for at, right in zip(taken, check.repaired, strict=True) if right]
    if (
        not check.biases.any()
        or check.broken > breakable * check.passes
        or len(repaired) < _REPAIRED_FOR_ONE_BROKEN * check.broken
        or len(repaired) < max(_WORTHWHILE * ledger.honest, 1)
    ):
        return None
    biases = _strongest(scores.labels, check.biases)
    shown = ", ".join(f"{label} {bias:+.2f}" for label, bias in biases[:_NAMED_LABELS])
    reason = (
        f"a bias for each label repairs {len(repaired)} of {len(taken)} failures and breaks "
        f"{check.broken} of {check.passes} passes it was not fitted on; strongest: {shown}"
    )
    return ledger.close(RemedyKind.CALIBRATION, repaired, reason, biases)


def _explained(
    ledger: _Open, scores: Scores, taken: Sequence[int], column: Mapping[str, int]
) -> bool:
    given = [column.get(ledger.failures[at].output, -1) for at in taken]
    return float(np.mean(scores.failing[taken].argmax(axis=1) == given)) >= _EXPLAINED


def _strongest(
    labels: Sequence[str], biases: npt.NDArray[np.float64]
) -> tuple[tuple[str, float], ...]:
    set_ = [(label, round(float(b), 4)) for label, b in zip(labels, biases, strict=True) if b != 0]
    return tuple(sorted(set_, key=lambda item: (-abs(item[1]), item[0])))


def _schema(ledger: _Open, labels: Sequence[str]) -> Remedy | None:
    known = frozenset(labels)
    outside = [
        at
        for at, failure in ledger.open.items()
        if failure.output not in known or ledger.family(failure) is Family.SCHEMA_MISMATCH
    ]
    written = sum(
        normalise(ledger.open[at].output) == normalise(ledger.open[at].corrected) for at in outside
    )
    reason = (
        f"{len(outside)} answers are outside the {len(known)} labels; {written} of them are right "
        "but for how they are written: constrain or parse the output"
    )
    return ledger.close(RemedyKind.PROMPT_OR_SCHEMA, outside, reason)


def _training(
    ledger: _Open, patterns: Sequence[ErrorPattern], background: Background
) -> Iterator[Remedy | None]:
    position = {failure.id: at for at, failure in ledger.open.items()}
    rows_of = Counter(row.target for row in background.training)
    usual = median(rows_of.values()) if rows_of else 0
    stubborn: list[int] = []
    pairs: list[str] = []
    for pattern in patterns:
        left = [position[member] for member in pattern.members if member in position]
        if left and _stubborn(pattern, [ledger.open[at] for at in left], rows_of, usual):
            stubborn += left
            pairs.append(f"{pattern.expected} as {pattern.predicted} ({len(left)})")
    rest = sorted(ledger.open.keys() - set(stubborn))
    labels = Counter(ledger.open[at].corrected for at in rest)
    shown = ", ".join(f"{label} ({count})" for label, count in labels.most_common(_NAMED_LABELS))
    yield ledger.close(
        RemedyKind.MORE_DATA, rest, f"train with more examples near the failures; most of {shown}"
    )
    yield ledger.close(
        RemedyKind.MORE_CAPACITY,
        stubborn,
        "the training set has the usual number of rows of the right label close by, and yet the "
        "model is sure of the wrong one: a larger base or rank; "
        + ", ".join(pairs[:_NAMED_LABELS]),
    )


def _stubborn(
    pattern: ErrorPattern, members: Sequence[JudgedTrace], rows_of: Counter[str], usual: float
) -> bool:
    """The label was taught well around these inputs, and the model is sure of another."""
    sure = [member.confidence for member in members if member.confidence is not None]
    return (
        pattern.predicted is not None
        and len(members) > 1
        and rows_of[pattern.expected] >= max(usual, 1)
        and pattern.covered > _MOST
        and bool(sure)
        and sum(sure) / len(sure) >= _CONFIDENT
    )
