"""How far a confidence can be believed: by label, from how such answers turned out (paper §2.7).

A model's confidence in an answer is mixed with the share of its answers with that label that were
right: w · accuracy + (1 − w) · confidence. The more judged answers a label has, the more its record
counts: w = n / (n + strength). How much is enough is learned from the record itself: ``strength``
is the one under which each judged answer would have been foretold best by all the others.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Judged answers that weigh as much as the model's own word, from "one is enough" to "never".
_STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0)
_USUAL_STRENGTH = 30.0
_ENOUGH_TO_LEARN = 50
# A label with few judged answers is believed to be about as good as all labels together.
_PRIOR_ANSWERS = 4.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One judged answer: what the model said, how sure it was if it told, whether it was right."""

    label: str
    confidence: float | None
    right: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the record of a model says of its confidence. An empty one believes the model."""

    judged: dict[str, int]
    right: dict[str, int]
    strength: float = _USUAL_STRENGTH

    @property
    def overall(self) -> float:
        """Share of all judged answers that were right; 0.5 when there are none."""
        return (sum(self.right.values()) + 1) / (sum(self.judged.values()) + 2)

    def calibrated(self, label: str, confidence: float | None) -> float:
        """How likely an answer with this label is right, 0 to 1.

        Without a confidence the record alone tells.
        """
        judged = self.judged.get(label, 0)
        right = self.right.get(label, 0)
        accuracy = (right + _PRIOR_ANSWERS * self.overall) / (judged + _PRIOR_ANSWERS)
        if confidence is None:
            return accuracy
        weight = judged / (judged + self.strength)
        return weight * accuracy + (1 - weight) * min(1.0, max(0.0, confidence))


def calibrate(outcomes: Iterable[Outcome]) -> Calibration:
    """Learn from judged answers. Fewer than 50 with a confidence leave the usual strength."""
    known = list(outcomes)
    judged = Counter(one.label for one in known)
    right = Counter(one.label for one in known if one.right)
    sure = [one for one in known if one.confidence is not None]
    record = Calibration(dict(judged), dict(right))
    if len(sure) < _ENOUGH_TO_LEARN:
        return record
    best = min(_STRENGTHS, key=lambda strength: (_loss(record, sure, strength), -strength))
    return Calibration(record.judged, record.right, best)


def expected_calibration_error(
    confidences: Sequence[float], right: Sequence[bool], *, bins: int = 10
) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence, by bin size."""
    if not confidences:
        return 0.0
    sure, hit = np.asarray(confidences, float), np.asarray(right, float)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = np.bincount(place, sure - hit, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


def _loss(record: Calibration, sure: Sequence[Outcome], strength: float) -> float:
    """Mean squared error when each answer is foretold from the record of all the others."""
    hit = np.array([one.right for one in sure], float)
    confidence = np.array([one.confidence for one in sure], float)
    judged = np.array([record.judged[one.label] for one in sure], float) - 1
    others_right = np.array([record.right.get(one.label, 0) for one in sure], float) - hit
    overall = (sum(record.right.values()) - hit + 1) / (sum(record.judged.values()) + 1)
    accuracy = (others_right + _PRIOR_ANSWERS * overall) / (judged + _PRIOR_ANSWERS)
    weight = judged / (judged + strength)
    foretold = weight * accuracy + (1 - weight) * confidence
    return float(np.mean((foretold - hit) ** 2))
