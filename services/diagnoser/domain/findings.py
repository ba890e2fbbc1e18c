"""All that a diagnosis finds, from judged traces and their vectors; pure and deterministic."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.diagnoser.domain.background import Background
from services.diagnoser.domain.probes import Probe, make_probes
from services.diagnoser.domain.remedies import Scores, find_remedies
from services.diagnoser.domain.splits import measured_passes, split_failures, training_pool
from services.diagnoser.domain.taxonomy import find_patterns
from services.diagnoser.domain.traffic import Traffic
from services.diagnoser.domain.triage import Triaged, triage
from shared.domain.ids import derive_id
from shared.domain.near_duplicates import NearDuplicateIndex
from shared.domain.patterns import Character, ErrorPattern, Remedy
from shared.domain.rows import EvalPart, EvalRow, FailureRow, Role, Row, TrainingRow
from shared.domain.traces import JudgedTrace
from shared.domain.triage import FIXABLE_FAMILIES, Family, TriageKind, TriageVerdict
from shared.tasks import TaskBehaviour

Vectors = npt.NDArray[np.float32]
Traces = Sequence[JudgedTrace]

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How failures become a repair part, a held-out part and a regression set.

    ``heldout_share`` of the failures are held out, half of fewer than ``few``: few tell little.
    ``epsilon``: how many of the regression set a remedy may break, as a candidate may.
    ``regression_rows``: passes guarded at least, where there are plenty; ``loaned_rows``: more of
    them that are measured before they are learned.
    """

    heldout_share: float = 0.35
    regression_share: float = 0.5
    regression_rows: int = 40
    loaned_rows: int = 160
    few: int = 40
    seed: int = 17
    epsilon: int = 0

    def held_of(self, failures: int) -> float:
        """The share of so many failures that is held out."""
        return max(self.heldout_share, _HALF) if failures < self.few else self.heldout_share


@dataclass(frozen=True, slots=True)
class Findings:
    """What triage said of every row, and what follows from it for the rows worth learning from.

    Of ``failures``, ``quarantined`` are poison and ``learnable`` are worth learning from.
    ``repair`` and ``pool`` may be trained on, ``heldout``, ``regression`` and ``on_loan`` are only
    measured, until a candidate is admitted without them; ``regression`` for good.
    ``made`` are clean forms of noisy repair rows; ``noise`` the share of traffic in each family of
    fixable noise. ``vectors``: float32 [repair + pool, d]. ``material`` counts all rows that a
    training set may be composed of, the parent's too.
    """

    triaged: Triaged
    patterns: tuple[ErrorPattern, ...]
    remedies: tuple[Remedy, ...]
    failures: int
    quarantined: int
    learnable: int
    repair: Traces
    heldout: Traces
    regression: Traces
    on_loan: Traces
    pool: Traces
    made: tuple[TrainingRow, ...]
    noise: Mapping[Family, float]
    probes: tuple[Probe, ...]
    vectors: Vectors
    material: int

    def repair_rows(self) -> list[FailureRow]:
        pattern_of = self._pattern_of()
        return [
            FailureRow(t.id, t.text, t.corrected, t.output, pattern_of[t.id]) for t in self.repair
        ]

    def measured_texts(self) -> list[str]:
        """What nothing may be trained on."""
        return [t.text for t in (*self.heldout, *self.regression, *self.on_loan)]

    def pool_rows(self) -> list[Row]:
        return [Row(t.id, t.text, t.corrected) for t in self.pool]

    def evaluation_rows(self, *, passing: int) -> list[EvalRow]:
        """Rows for the gate, each with the part of traffic it stands for; ``passing`` traces."""
        pattern_of = self._pattern_of()
        passes = len(self.regression) + len(self.on_loan)
        parts = (
            (EvalPart.HELDOUT, self.heldout, self.learnable / max(len(self.heldout), 1)),
            (EvalPart.REGRESSION, self.regression, passing / max(passes, 1)),
            (EvalPart.ON_LOAN, self.on_loan, passing / max(passes, 1)),
        )
        return [
            EvalRow(
                trace.id,
                trace.text,
                trace.corrected,
                part,
                right_before=part is not EvalPart.HELDOUT,
                weight=round(stands_for, 6),
                pattern=pattern_of.get(trace.id, ""),
            )
            for part, traces, stands_for in parts
            for trace in traces
        ]

    def _pattern_of(self) -> dict[str, str]:
        return {member: p.id for p in self.patterns for member in p.members}


def diagnose(
    traffic: Traffic,
    policy: SplitPolicy,
    *,
    measured: Sequence[str] = (),
    triaged: Triaged | None = None,
) -> Findings:
    """Triage every row, group the failures, divide what can be learned from, and make probes.

    ``measured`` are texts of earlier evaluation sets: nothing made may be near them. Equal rows
    give equal findings, in whatever order they come. ``triaged`` is the triage of this traffic in
    its order by id, where it was done before.
    """
    traffic = traffic.in_order()
    triaged = triaged or triage(traffic)
    named = traffic.named()
    passes = triaged.learnable(named.passes)
    failures = triaged.learnable(named.failures)
    patterns = _patterns(named, triaged.verdicts)
    place = {t.id: at for at, t in enumerate(traffic.judged)}
    of_failure = triaged.repetitions.group[[place[t.id] for t in failures]].tolist()
    splits = _split(failures, of_failure, passes, policy).answered(traffic)
    only_measured = [t.text for t in (*splits.heldout, *splits.regression, *splits.on_loan)]
    avoid = [*only_measured, *measured]
    pool = training_pool(triaged.learnable(traffic.passes), only_measured)
    of_labels = traffic.behaviour.answers_are_labels
    return Findings(
        triaged=triaged,
        patterns=patterns,
        remedies=remedies_for(
            traffic,
            patterns,
            triaged.verdicts,
            breakable=breakable_share(policy.epsilon, len(splits.regression)),
        ),
        failures=len(traffic.failures),
        quarantined=triaged.count(traffic.failures, TriageKind.POISON),
        learnable=len(failures),
        repair=splits.repair,
        heldout=splits.heldout,
        regression=splits.regression,
        on_loan=splits.on_loan,
        pool=pool,
        # Another text has its entities elsewhere.
        made=tuple(_clean_forms((*splits.repair, *pool), triaged, avoid)) if of_labels else (),
        noise=_noise_shares((*failures, *passes), triaged),
        probes=make_probes(
            patterns,
            splits.repair,
            [*(Row(t.id, t.text, t.corrected) for t in pool), *traffic.trusted],
            avoid=avoid,
            seed=policy.seed,
        )
        if of_labels
        else (),
        vectors=traffic.vectors[[place[trace.id] for trace in (*splits.repair, *pool)]],
        material=len(splits.repair) + len(pool) + len(traffic.trusted),
    )


@dataclass(frozen=True, slots=True)
class _Splits:
    repair: Traces
    heldout: Traces
    regression: Traces
    on_loan: Traces

    def answered(self, traffic: Traffic) -> "_Splits":
        """With the answers of these rows in the traffic, instead of their names."""
        rows = {trace.id: trace for trace in traffic.judged}
        return _Splits(
            *(
                [rows[t.id] for t in part]
                for part in (self.repair, self.heldout, self.regression, self.on_loan)
            )
        )


def _patterns(named: Traffic, verdicts: Mapping[str, TriageVerdict]) -> tuple[ErrorPattern, ...]:
    """The patterns; the task's own word on misses counts more than the shares of traffic."""
    background = _background(named, verdicts)
    found = find_patterns(named.failures, named.failure_vectors, background)
    return tuple(_characterised(pattern, named.behaviour) for pattern in found)


def _characterised(pattern: ErrorPattern, behaviour: TaskBehaviour) -> ErrorPattern:
    misses = behaviour.misses(pattern.expected, pattern.predicted)
    if misses is None:
        return pattern
    return replace(pattern, character=Character.RECALL if misses else Character.PRECISION)


def _split(failures: Traces, groups: Sequence[int], passes: Traces, policy: SplitPolicy) -> _Splits:
    repair, heldout = split_failures(
        failures, heldout_share=policy.held_of(len(failures)), seed=policy.seed, groups=groups
    )
    regression, on_loan = measured_passes(
        passes,
        repair,
        heldout_size=len(heldout),
        share=policy.regression_share,
        seed=policy.seed,
        least=policy.regression_rows,
        on_loan=policy.loaned_rows,
    )
    return _Splits(repair, heldout, regression, on_loan)


def breakable_share(epsilon: int, regression: int) -> float:
    """The share of passes that a remedy may break, of a regression set of this size."""
    return min(epsilon / regression, 1.0) if regression else 0.0


def remedies_for(
    traffic: Traffic,
    patterns: Sequence[ErrorPattern],
    verdicts: Mapping[str, TriageVerdict],
    *,
    breakable: float = 0.0,
    spurious: Collection[str] = (),
) -> tuple[Remedy, ...]:
    """What to do about the failures, cheapest first; those of ``spurious`` patterns need none.

    A row without a verdict counts as one to learn from.
    """
    traffic = traffic.named()
    background = _background(traffic, verdicts)
    scores = None
    if traffic.probabilities is not None:
        place = {trace.id: at for at, trace in enumerate(traffic.judged)}
        passing = [place[trace.id] for trace in background.passes]
        scores = Scores(
            traffic.labels,
            traffic.probabilities[: len(traffic.failures)],
            traffic.probabilities[passing],
        )
    return find_remedies(
        patterns,
        traffic.failures,
        background,
        labels=traffic.labels,
        scores=scores,
        spurious=spurious,
        breakable=breakable,
    )


def _background(traffic: Traffic, verdicts: Mapping[str, TriageVerdict]) -> Background:
    def learnable(trace: JudgedTrace) -> bool:
        verdict = verdicts.get(trace.id)
        return verdict is None or verdict.kind is TriageKind.FIXABLE

    return Background(
        training=traffic.trusted,
        training_vectors=traffic.trusted_vectors,
        passes=[trace for trace in traffic.passes if learnable(trace)],
        verdicts=verdicts,
    )


# Taken away whole, they leave the words of the question as they were. To respell a word could turn
# it into another one.
_STRUCTURAL = frozenset(
    {
        Family.PREAMBLE,
        Family.FORMAT_REQUEST,
        Family.MARKUP,
        Family.METADATA,
        Family.REPETITION,
        Family.ENCODING,
    }
)


def _clean_forms(traces: Traces, triaged: Triaged, avoid: Sequence[str]) -> list[TrainingRow]:
    """Contrastive pairs: beside a noisy row its clean form, with the same answer."""
    rows: list[TrainingRow] = []
    for trace in traces:
        found = triaged.noise.get(trace.id)
        if found is None or found.cleaned is None:
            continue
        if _STRUCTURAL.issuperset(found.families):
            rows.append(
                TrainingRow(
                    derive_id("clean-form", trace.id),
                    found.cleaned,
                    trace.corrected,
                    Role.GOLD,
                    "clean form",
                    f"trace {trace.id} without its {', '.join(found.families)}",
                )
            )
    # A noisy row is far from a text that its clean form may be near.
    measured = NearDuplicateIndex(avoid).match_each([row.text for row in rows])
    return [row for row, leaks in zip(rows, measured, strict=True) if not leaks]


def _noise_shares(traces: Traces, triaged: Triaged) -> dict[Family, float]:
    seen = Counter(
        family
        for trace in traces
        if trace.id in triaged.noise
        for family in triaged.noise[trace.id].families
        if family in FIXABLE_FAMILIES
    )
    return {family: round(count / len(traces), 4) for family, count in sorted(seen.items())}
