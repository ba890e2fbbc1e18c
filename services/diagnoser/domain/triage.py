"""One verdict for each row: an ensemble of signals decides what is learned (paper §2.6 step 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import prod

from services.diagnoser.domain.disagreement import disagreement_evidence
from services.diagnoser.domain.label_evidence import (
    heed_corrections,
    judge_corrections,
    label_evidence,
)
from services.diagnoser.domain.signals.negation import negation_evidence
from services.diagnoser.domain.signals.noise import NoiseFinding, find_noise, noise_evidence
from services.diagnoser.domain.signals.off_domain import off_domain_evidence
from services.diagnoser.domain.signals.phrase_model import phrase_evidence
from services.diagnoser.domain.signals.phrasing import phrasing_evidence
from services.diagnoser.domain.signals.repetition import Repetitions, collapse
from services.diagnoser.domain.signals.surface import surface_evidence
from services.diagnoser.domain.traffic import Traffic
from shared.domain.traces import JudgedTrace
from shared.domain.triage import Evidence, Family, TriageKind, TriageVerdict, kind_of

# A row that is kept back by mistake can be released; a poisoned one that is learned does harm.
_HARMFUL = 0.42
# Users negate a request too; that the answer of such a row is wrong, its label must also say.
_HINT = 0.3


def triage(traffic: Traffic, *, seed: int = 0) -> "Triaged":
    """A verdict for every judged row of the traffic, from all signals together.

    Signals that reason over labels are asked only where answers are labels.
    """
    rows, named = traffic.judged, traffic.named()
    texts = [row.text for row in rows]
    repetitions = collapse(texts, [row.occurred_at for row in rows])
    ordinary = [row.text for row in traffic.trusted] or [row.text for row in traffic.passes]
    noise = find_noise(texts, ordinary)
    off_domain = off_domain_evidence(
        traffic.failure_vectors,
        traffic.vectors[len(traffic.failures) :],
        passes=len(traffic.passes),
        seed=seed,
    )
    signals: list[Sequence[Sequence[Evidence]]] = [
        surface_evidence(texts, ordinary),
        phrasing_evidence(
            texts,
            ordinary,
            labels=[row.corrected for row in named.judged],
            ordinary_labels=[row.target for row in named.trusted] or None,
        ),
        phrase_evidence(
            [row.text for row in traffic.failures],
            [row.text for row in traffic.passes],
            ordinary,
            traffic.labels,
            seed=seed,
        ),
        [(one,) if one else () for one in disagreement_evidence(rows, repetitions.group.tolist())],
        noise_evidence(noise),
    ]
    if traffic.behaviour.answers_are_labels:
        signals += _label_signals(traffic, texts, repetitions, off_domain, seed=seed)
    else:
        # No correction speaks for a text that is far from all others.
        signals.append(_hints(off_domain))
    verdicts = {
        row.id: decide([*chain.from_iterable(found)], released=row.released)
        for row, *found in zip(rows, *signals, strict=True)
    }
    found = {row.id: one for row, one in zip(rows, noise, strict=True) if one.families}
    return Triaged(verdicts, found, repetitions)


def _label_signals(
    traffic: Traffic,
    texts: Sequence[str],
    repetitions: Repetitions,
    off_domain: Sequence[tuple[Evidence, ...]],
    *,
    seed: int,
) -> list[Sequence[Sequence[Evidence]]]:
    """What corrections that are labels say, of themselves and of how far a text is."""
    corrections = judge_corrections(traffic, repetitions, seed=seed)
    negation = negation_evidence(
        texts,
        [row.corrected for row in traffic.judged],
        [row.text for row in traffic.trusted],
        [row.target for row in traffic.trusted],
    )
    return [
        heed_corrections(off_domain, traffic, corrections, seed=seed),
        label_evidence(traffic, corrections),
        _hints(negation),
    ]


@dataclass(frozen=True, slots=True)
class Triaged:
    """The verdict of each judged row by trace id, and the fixable noise found in it."""

    verdicts: Mapping[str, TriageVerdict]
    noise: Mapping[str, NoiseFinding]
    repetitions: Repetitions

    def learnable(self, traces: Sequence[JudgedTrace]) -> list[JudgedTrace]:
        """Those that may be trained on and measured with, in order."""
        return [t for t in traces if self.verdicts[t.id].kind is TriageKind.FIXABLE]

    def count(self, traces: Sequence[JudgedTrace], kind: TriageKind) -> int:
        return sum(self.verdicts[trace.id].kind is kind for trace in traces)


def _hints(found: Sequence[tuple[Evidence, ...]]) -> list[tuple[Evidence, ...]]:
    """Evidence that needs company: alone it keeps no row from training."""
    return [
        tuple(replace(one, probability=min(one.probability, _HINT)) for one in evidence)
        for evidence in found
    ]


def decide(evidence: Sequence[Evidence], *, released: bool = False) -> TriageVerdict:
    """The ensemble's word: families count as independent, each by its strongest signal.

    A row is kept from training when some harmful family is true of it with a probability above
    0.42: to learn poison costs more than to wait for a person. What a human released stays fixable.
    """
    ranked = tuple(sorted(evidence, key=lambda e: (-e.probability, e.family, e.signal, e.detail)))
    strongest: dict[Family, Evidence] = {}
    for one in ranked:
        strongest.setdefault(one.family, one)
    harmful = [e for e in strongest.values() if kind_of(e.family) is not TriageKind.FIXABLE]
    harm = 1 - prod(1 - e.probability for e in harmful)
    if harm > _HARMFUL and not released:
        worst = harmful[0].family
        return TriageVerdict(kind_of(worst), round(harm, 4), worst, ranked)
    noise = [e.family for e in strongest.values() if kind_of(e.family) is TriageKind.FIXABLE]
    confidence = 1.0 if released else round(1 - harm, 4)
    return TriageVerdict(TriageKind.FIXABLE, confidence, noise[0] if noise else None, ranked)
