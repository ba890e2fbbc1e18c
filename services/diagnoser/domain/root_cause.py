"""Why a pattern fails (paper §2.6 step 2, §4.4): the first cause whose signs most members show.

Causes that lie outside the model are asked for first, then what the training data lacks, then how
the two labels overlap. Each answer comes with its figures, for a person to doubt.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from services.diagnoser.domain.likeness import Likeness
from services.diagnoser.domain.shapes import noise_of
from shared.domain.patterns import RootCause
from shared.domain.traces import JudgedTrace
from shared.domain.triage import Family, TriageKind, TriageVerdict

_MOST = 0.5
# Nearer to another label in two of three is more than the scatter of a boundary.
_CONSISTENT = 2 / 3
# Noise that all traffic carries explains no failure: failures must carry it this much oftener.
_OFTENER = 1.5
# A label with less than a third of the usual rows was hardly shown to the model.
_FEW = 1 / 3
# Cosines of sentence encoders scatter by about this much between paraphrases.
_APART = 0.02
_OVERLAP = 0.1
_WRONG = frozenset({Family.WRONG_REFERENCE, Family.DISAGREEMENT})
_UNTRUSTED = _WRONG | {Family.LABEL_FLIP, Family.AMBIGUOUS}

Found = tuple[RootCause, str]


@dataclass(frozen=True, slots=True)
class Signs:
    """What root causes are told by: likeness of all failures, triage, noise of passing traffic."""

    likeness: Likeness
    verdicts: Mapping[str, TriageVerdict]
    usual_noise: Mapping[Family, float] = field(default_factory=dict[Family, float])


def root_cause(
    rows: Sequence[JudgedTrace], members: Sequence[int], signs: Signs
) -> tuple[RootCause, str]:
    """The cause of the pattern of these positions, and the evidence in plain words."""
    for found in _candidates(rows, members, signs):
        if found is not None:
            return found
    return RootCause.UNCLEAR, "no sign is shown by most members"


def untaught(members: Sequence[JudgedTrace], verdicts: Mapping[str, TriageVerdict]) -> float:
    """Share of members that triage does not let be learned from."""
    barred = (verdicts.get(member.id) for member in members)
    return sum(v is not None and v.kind is not TriageKind.FIXABLE for v in barred) / len(members)


def _candidates(
    rows: Sequence[JudgedTrace], members: Sequence[int], signs: Signs
) -> Iterator[Found | None]:
    verdicts = [signs.verdicts.get(rows[at].id) for at in members]
    yield _wrong_reference(verdicts)
    yield _noise(verdicts, signs.usual_noise)
    if not signs.likeness.rows_of:
        yield RootCause.UNCLEAR, "the deployed model's training rows are not known"
    expected = rows[members[0]].corrected
    yield _few_rows(expected, signs.likeness)
    # Before distance alone: far from its own label's rows, but among those of another.
    yield _counter_intuitive(verdicts, members, signs.likeness)
    yield _far_away(expected, members, signs.likeness)
    yield _surface_overlap(members, signs.likeness)
    yield _semantic_overlap(members, signs.likeness)


def _wrong_reference(verdicts: Sequence[TriageVerdict | None]) -> Found | None:
    wrong = sum(v is not None and v.family in _WRONG for v in verdicts)
    if wrong < _MOST * len(verdicts):
        return None
    said = f"triage doubts the reference label of {wrong} of {len(verdicts)}"
    return RootCause.WRONG_REFERENCE, said


def _noise(verdicts: Sequence[TriageVerdict | None], usual: Mapping[Family, float]) -> Found | None:
    carried = [noise_of(verdict) for verdict in verdicts]
    families = sorted({family for found in carried for family in found})
    counts = {family: sum(family in found for found in carried) for family in families}
    for family, count in sorted(counts.items(), key=lambda item: -item[1]):
        share, before = count / len(verdicts), usual.get(family, 0.0)
        if share > _MOST and share >= _OFTENER * before:
            said = f"{share:.0%} carry {family.value}, {before:.0%} of passing traffic does"
            return RootCause.NOISE_FAMILY, said
    return None


def _few_rows(expected: str, like: Likeness) -> Found | None:
    known, usual = like.rows_of.get(expected, 0), median(like.rows_of.values())
    if known > _FEW * usual:
        return None
    said = f"the training set has {known} rows of {expected!r}, the usual label has {usual:g}"
    return RootCause.MISSING_SIGNAL, said


def _far_away(expected: str, members: Sequence[int], like: Likeness) -> Found | None:
    far = float(np.mean(like.far[list(members)]))
    if far <= _MOST:
        return None
    said = f"{far:.0%} are farther from every training row of {expected!r} than 95 % of its own are"
    return RootCause.MISSING_SIGNAL, said


def _counter_intuitive(
    verdicts: Sequence[TriageVerdict | None], members: Sequence[int], like: Likeness
) -> Found | None:
    doubted = np.mean([v is not None and _doubted(v) for v in verdicts])
    at = list(members)
    nearer = float(np.mean(like.given[at] > like.right[at] + _APART))
    elsewhere, own = float(np.mean(like.given_named[at])), float(np.mean(like.right_named[at]))
    if nearer < _CONSISTENT or doubted > 1 - _CONSISTENT or elsewhere <= max(own, 1 / 3):
        return None
    return RootCause.COUNTER_INTUITIVE, (
        f"{nearer:.0%} lie nearer to the predicted label's training rows, {elsewhere:.0%} say a "
        f"word of its name, {own:.0%} one of the right label's"
    )


def _doubted(verdict: TriageVerdict) -> bool:
    return any(e.family in _UNTRUSTED and e.probability >= _MOST for e in verdict.evidence) or (
        verdict.family in _UNTRUSTED
    )


def _surface_overlap(members: Sequence[int], like: Likeness) -> Found | None:
    at = list(members)
    wording = np.mean(like.given_words[at] > like.right_words[at])
    meaning = np.mean(like.right[at] > like.given[at])
    if not (wording > _MOST and meaning > _MOST):
        return None
    return RootCause.SURFACE_OVERLAP, (
        f"{wording:.0%} share more words with the predicted label's training rows, though "
        f"{meaning:.0%} mean what the right label's mean"
    )


def _semantic_overlap(members: Sequence[int], like: Likeness) -> Found | None:
    at = list(members)
    gap = like.given[at] - like.right[at]
    known = gap[~np.isnan(gap)]
    between = float(np.mean(known > -_OVERLAP)) if len(known) else 0.0
    if between <= _MOST:
        return None
    return RootCause.SEMANTIC_OVERLAP, (
        f"{between:.0%} lie about as near to the predicted label's training rows as to the right "
        f"one's, mean cosines {_mean(like.given[at]):.2f} and {_mean(like.right[at]):.2f}"
    )


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
