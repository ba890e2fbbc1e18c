"""Evidence from the corrections: which are wrong, and which speak for the text they came with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.diagnoser.domain.label_noise import WrongLabels, find_wrong_labels
from services.diagnoser.domain.signals.repetition import Repetitions
from services.diagnoser.domain.traffic import Traffic
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from shared.domain.triage import Evidence, Family

SIGNAL = "label noise"

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

_REPORTED_FROM = 0.2
# Nobody corrects a text on another subject to the label that its words suggest, unless by chance:
# so much oftener than one in the number of labels.
_FITS_BY_CHANCE, _FITS_IN_DOMAIN = 0.1, 0.9
_NEIGHBOURS, _NEIGHBOURS_WEIGH = 8, 4.0
_COPY = 0.98
_REFERENCE, _ROWS_AT_ONCE = 4_000, 4_096
# However far a text is: distance alone can be no surer.
_SUREST = 0.9


@dataclass(frozen=True, slots=True)
class Corrections:
    """For each judged row: the probability that its correction is wrong, and the likeliest label.

    What a human corrected or released is not doubted: its probability is 0.
    """

    wrong: Reals
    best: Ints
    best_probability: Reals


def judge_corrections(traffic: Traffic, repetitions: Repetitions, *, seed: int) -> Corrections:
    """How far each correction can be believed; copies of a text with one answer are one witness.

    What a human vouched for is trusted like the deployed model's training rows.
    """
    rows = traffic.judged
    vouched = np.array([row.released or row.source is VerdictSource.HUMAN for row in rows], bool)
    keys = [(g, r.corrected) for g, r in zip(repetitions.group.tolist(), rows, strict=True)]
    first: dict[tuple[int, str], int] = {}
    for at, key in enumerate(keys):
        if not vouched[at]:
            first.setdefault(key, at)
    asked = np.array(list(first.values()), np.int64)
    found = _wrong_labels(traffic, rows, asked, np.flatnonzero(vouched), seed)
    place = {key: n for n, key in enumerate(first)}
    doubted = np.flatnonzero(~vouched)
    at = np.array([place[keys[row]] for row in doubted], np.int64)
    wrong, sure = np.zeros((2, len(rows)))
    best = np.full(len(rows), -1, np.int64)
    wrong[doubted], sure[doubted] = found.probability_wrong[at], found.best_probability[at]
    best[doubted] = found.best[at]
    return Corrections(wrong, best, sure)


def label_evidence(traffic: Traffic, corrections: Corrections) -> list[tuple[Evidence, ...]]:
    """Wrong corrections, each with the label that fits better."""
    return [
        _evidence(row, traffic.labels, corrections, at) for at, row in enumerate(traffic.judged)
    ]


def heed_corrections(
    found: Sequence[tuple[Evidence, ...]], traffic: Traffic, corrections: Corrections, *, seed: int
) -> list[tuple[Evidence, ...]]:
    """Evidence of distance, weaker where the correction fits the text, stronger where it does not.

    It fits when it is not doubted, and when the row's neighbours were corrected to the same: a new
    way to say something is far from all that is known too, but its corrections agree.
    """
    suspects = np.array([at for at, evidence in enumerate(found) if evidence], np.int64)
    agreeing = dict(
        zip(suspects.tolist(), _agreeing(traffic, suspects, seed).tolist(), strict=True)
    )
    chance = _FITS_BY_CHANCE + 1 / len(traffic.labels)
    heeded = [*found]
    for at, of_one in agreeing.items():
        wrong = float(corrections.wrong[at])
        # Alone among its neighbours is no sign: a misspelt row is that too.
        company = min(1.0, _ratio(of_one, chance) ** _NEIGHBOURS_WEIGH)
        ratio = _ratio(1 - wrong, chance) * company
        heeded[at] = tuple(_times(one, ratio) for one in found[at])
    return heeded


def _ratio(fits: float, chance: float) -> float:
    """How much likelier so good a fit is off the domain than within."""
    by_chance = chance**fits * (1 - chance) ** (1 - fits)
    within = _FITS_IN_DOMAIN**fits * (1 - _FITS_IN_DOMAIN) ** (1 - fits)
    return by_chance / within


def _agreeing(traffic: Traffic, suspects: Ints, seed: int) -> Reals:
    """Share of each suspect's nearest rows, its copies aside, that have its correction."""
    rows = traffic.judged
    count = len(rows) + len(traffic.trusted)
    sample = np.sort(np.random.default_rng(seed).permutation(count)[:_REFERENCE])
    answers = np.array([*(r.corrected for r in rows), *(r.target for r in traffic.trusted)])
    share = np.zeros(len(suspects))
    for start in range(0, len(suspects), _ROWS_AT_ONCE):
        part = suspects[start : start + _ROWS_AT_ONCE]
        near = traffic.vectors[part] @ traffic.vectors[sample].T
        near[near > _COPY] = -1.0
        nearest = np.argpartition(-near, min(_NEIGHBOURS, len(sample) - 1), axis=1)
        same = answers[sample][nearest[:, :_NEIGHBOURS]] == answers[part, None]
        share[start : start + _ROWS_AT_ONCE] = same.mean(axis=1)
    return share


def _times(evidence: Evidence, ratio: float) -> Evidence:
    sure = min(evidence.probability, _SUREST)
    odds = ratio * sure / (1 - sure)
    return Evidence(evidence.signal, evidence.family, odds / (1 + odds), evidence.detail)


def _wrong_labels(
    traffic: Traffic, rows: Sequence[JudgedTrace], asked: Ints, vouched: Ints, seed: int
) -> WrongLabels:
    code = {label: number for number, label in enumerate(traffic.labels)}
    vectors, probabilities = traffic.judged_vectors, traffic.probabilities
    trusted = [row.target for row in traffic.trusted] + [rows[at].corrected for at in vouched]
    return find_wrong_labels(
        np.array([code[rows[at].corrected] for at in asked], np.int64),
        vectors[asked],
        np.concatenate([traffic.trusted_vectors, vectors[vouched]]),
        np.array([code[label] for label in trusted], np.int64),
        labels=len(traffic.labels),
        texts=[rows[at].text for at in asked],
        trusted_texts=[r.text for r in traffic.trusted] + [rows[at].text for at in vouched],
        parent_probabilities=None if probabilities is None else probabilities[asked],
        seed=seed,
    )


def _evidence(
    row: JudgedTrace, labels: Sequence[str], corrections: Corrections, at: int
) -> tuple[Evidence, ...]:
    probability = float(corrections.wrong[at])
    if probability < _REPORTED_FROM:
        return ()
    best, sure = labels[int(corrections.best[at])], float(corrections.best_probability[at])
    # The deployed model was right and its reference wrong: no failure at all, but a label to mend.
    spared = row.verdict is Verdict.FAIL and best == row.output
    family = Family.WRONG_REFERENCE if spared else Family.LABEL_FLIP
    detail = f"corrected to {row.corrected}, but more likely {best} ({sure:.0%})"
    if best == row.corrected:
        detail = f"corrected to {best}, which is only {1 - probability:.0%} likely"
    return (Evidence(SIGNAL, family, probability, detail),)
