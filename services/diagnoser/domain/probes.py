"""Probes: inputs that should trigger a weakness, asked of the deployed model (paper §2.6 step 3).

They are made from failing and right texts alone. A probe's answer is the pattern's right label: it
is said with words that texts of that label say. A chat model may write some more; their answers
are only its word.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from services.diagnoser.domain.rewording import Wording, Words, plainer
from shared.domain.ids import derive_id
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates, normalise
from shared.domain.noise import noisy_form
from shared.domain.patterns import ErrorPattern, RootCause
from shared.domain.rows import Row
from shared.domain.traces import JudgedTrace
from shared.domain.triage import Family
from shared.domain.written import WrittenRow

# From so many typical failures probes are made; their forms are tried until enough are new.
_BASES = 8
_TRIES = 6
_MUCH_LONGER = 1.5


class ProbeKind(StrEnum):
    """How a probe was made."""

    OPENING = "opening"
    PLAINER = "plainer"
    WORD = "word"
    SPLICE = "splice"
    LONGER = "longer"
    NOISE = "noise"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Probe:
    """An input with its right answer. ``source`` is the id of the row it was made from.

    What a chat model wrote was made from no row: its source is empty.
    """

    id: str
    text: str
    target: str
    pattern: str
    kind: ProbeKind
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """A probe the deployed model got wrong, as training material beside failures."""

    id: str
    text: str
    target: str
    output: str
    pattern: str
    source: str
    reason: str


def make_probes(
    patterns: Sequence[ErrorPattern],
    failures: Sequence[JudgedTrace],
    right: Sequence[Row],
    *,
    avoid: Iterable[str],
    per_pattern: int = 12,
    most_patterns: int = 40,
    seed: int = 0,
) -> tuple[Probe, ...]:
    """Probes for the largest fixable patterns, up to ``per_pattern`` each.

    ``failures`` are those that may be learned from, ``right`` passing and training rows. No probe
    is a near-duplicate of a text to ``avoid`` (all that is measured), of another probe or, but for
    noise, of a failure or a right row. Equal input gives equal probes.
    """
    rows = sorted(right, key=lambda row: row.id)
    maker = _Maker(rows)
    failing = {failure.id: failure for failure in failures}
    chosen = [pattern for pattern in patterns if can_be_probed(pattern)]
    candidates: list[Probe] = []
    for pattern in chosen[:most_patterns]:
        rng = random.Random(derive_id("probes", seed, pattern.id))
        bases = [failing[member] for member in pattern.members if member in failing]
        candidates += maker.candidates(pattern, bases[:_BASES], rng)
    known = [*(failure.text for failure in failures), *(row.text for row in rows)]
    return tuple(_first_of_each(_new(candidates, avoid, known), per_pattern))


def can_be_probed(pattern: ErrorPattern) -> bool:
    """Whether it is known what the right answers to such inputs are."""
    return pattern.fixable and pattern.cause is not RootCause.WRONG_REFERENCE


def with_written(
    probes: Sequence[Probe], written: Mapping[str, Sequence[WrittenRow]]
) -> tuple[Probe, ...]:
    """The probes, and those a chat model wrote by pattern id, but for near-duplicates."""
    more = [
        Probe(
            derive_id("probe", pattern, row.text),
            row.text,
            row.label,
            pattern,
            ProbeKind.WRITTEN,
            "",
            "written by the chat model",
        )
        for pattern, rows in sorted(written.items())
        for row in rows
    ]
    known = NearDuplicateIndex(probe.text for probe in probes)
    repeated = known.match_each([probe.text for probe in more])
    new = [probe for probe, repeats in zip(more, repeated, strict=True) if not repeats]
    return (*probes, *_first_of_each(new, len(new)))


def rows_to_ask(probes: Sequence[Probe]) -> list[Row]:
    """Probes as the rows of an evaluation set."""
    return [Row(probe.id, probe.text, probe.target) for probe in probes]


def material(probes: Sequence[Probe], outputs: Mapping[str, str]) -> list[ProbeRow]:
    """The probes that were answered wrong; ``outputs`` maps probe ids to answers.

    Not those that a chat model wrote: who is wrong there, nobody knows.
    """
    return [
        ProbeRow(p.id, p.text, p.target, outputs[p.id], p.pattern, p.source, p.reason)
        for p in probes
        if p.id in outputs and outputs[p.id] != p.target and p.kind is not ProbeKind.WRITTEN
    ]


class _Maker:
    """Makes candidates; what is too near to known texts is sorted out later."""

    def __init__(self, right: Sequence[Row]) -> None:
        self._wording = Wording(right)
        self._of_label: dict[str, list[Row]] = defaultdict(list)
        for row in right:
            self._of_label[row.target].append(row)

    def candidates(
        self, pattern: ErrorPattern, bases: Sequence[JudgedTrace], rng: random.Random
    ) -> Iterator[Probe]:
        if pattern.cause is RootCause.NOISE_FAMILY and pattern.shape.noise:
            yield from self._noisy(pattern, pattern.shape.noise[0][0], rng)
            return
        long = self._is_long(pattern)
        made: list[Probe] = []
        for _ in range(_TRIES):
            forms = [[*self._forms(base, pattern, rng, long=long)] for base in bases]
            # In turn, so that few probes still come from many failures.
            made += [probe for turn in zip_longest(*forms) for probe in turn if probe is not None]
        # A splice keeps only the beginning of the failure: it comes last.
        yield from sorted(made, key=lambda probe: probe.kind is ProbeKind.SPLICE)

    def _forms(
        self, base: JudgedTrace, pattern: ErrorPattern, rng: random.Random, *, long: bool
    ) -> Iterator[Probe]:
        words = tuple(normalise(base.text).split())
        for kind, made in self._reworded(words, pattern, rng, long=long):
            if made is not None and len(made) > 2:
                reason = f"{_WHY[kind]} {base.text!r}"
                yield _probe(pattern, kind, " ".join(made), base.id, reason)

    def _reworded(
        self, words: Words, pattern: ErrorPattern, rng: random.Random, *, long: bool
    ) -> Iterator[tuple[ProbeKind, Words | None]]:
        wording, label, rival = self._wording, pattern.expected, pattern.predicted
        if long:
            yield ProbeKind.LONGER, wording.longer(words, label, rng)
            return
        opened = wording.with_other_opening(words, label, rng)
        changed = wording.with_other_word(opened or words, label, rng, rival=rival)
        yield ProbeKind.OPENING, opened
        yield ProbeKind.WORD, changed
        yield ProbeKind.PLAINER, plainer(words)
        yield ProbeKind.SPLICE, wording.spliced(opened or words, label, rng)
        if changed:
            yield ProbeKind.WORD, wording.with_other_word(changed, label, rng, rival=rival)

    def _noisy(self, pattern: ErrorPattern, family: Family, rng: random.Random) -> Iterator[Probe]:
        rows = self._of_label[pattern.expected]
        for row in rng.sample(rows, min(len(rows), 10 * _BASES)):
            text = noisy_form(row.text, family, rng)
            if text is not None:
                reason = f"{family.value} added to the right row {row.text!r}"
                yield _probe(pattern, ProbeKind.NOISE, text, row.id, reason)

    def _is_long(self, pattern: ErrorPattern) -> bool:
        """Most failures are longer than nearly all right texts of their label."""
        lengths = sorted(len(row.text.split()) for row in self._of_label[pattern.expected])
        if not lengths:
            return False
        usual = lengths[int(0.75 * (len(lengths) - 1))]
        return pattern.shape.word_quartiles[0] > _MUCH_LONGER * usual


_WHY = {
    ProbeKind.OPENING: "another opening for the failure",
    ProbeKind.PLAINER: "without politeness, the failure",
    ProbeKind.WORD: "another word in the failure",
    ProbeKind.SPLICE: "another end, of the same label, for the failure",
    ProbeKind.LONGER: "more text of the same label before the failure",
}


def _probe(pattern: ErrorPattern, kind: ProbeKind, text: str, source: str, reason: str) -> Probe:
    id_ = derive_id("probe", pattern.id, text)
    return Probe(id_, text, pattern.expected, pattern.id, kind, source, reason)


def _new(candidates: Sequence[Probe], avoid: Iterable[str], known: Iterable[str]) -> list[Probe]:
    """What is near no text to avoid, nor, but for noise, any known one."""
    texts = [probe.text for probe in candidates]
    measured = NearDuplicateIndex(avoid).match_each(texts)
    repeated = NearDuplicateIndex(known).match_each(texts)
    return [
        probe
        for probe, leaks, repeats in zip(candidates, measured, repeated, strict=True)
        if not leaks and (probe.kind is ProbeKind.NOISE or not repeats)
    ]


def _first_of_each(candidates: Sequence[Probe], per_pattern: int) -> Iterator[Probe]:
    """The first of each near-duplicate group, so many for each pattern."""
    groups = group_near_duplicates([probe.text for probe in candidates])
    taken: set[int] = set()
    count: Counter[str] = Counter()
    for probe, group in zip(candidates, groups, strict=True):
        if group not in taken and count[probe.pattern] < per_pattern:
            taken.add(group)
            count[probe.pattern] += 1
            yield probe
