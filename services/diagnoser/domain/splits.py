"""What is trained on and what is only measured, kept apart by near-duplicate group (§2.6 4-7)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from math import ceil

from shared.domain.ids import derive_id
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates, normalise
from shared.domain.traces import JudgedTrace

Traces = list[JudgedTrace]

# Guarded passes are never trained on: at most an eighth is kept for that. A quarter of what is left
# may be measured first and learned later: what learns without many of them breaks more of them.
_PLENTY = 8
_LENT = 4
# A model that mostly fails must learn what it does right: no more than half is kept from it.
_SCARCE = 2


def split_failures(
    failures: Sequence[JudgedTrace],
    *,
    heldout_share: float,
    seed: int,
    groups: Sequence[int] | None = None,
) -> tuple[Traces, Traces]:
    """(repair, held out), each sorted by id; no near-duplicate group is in both.

    The held-out share is met over all failures, and within each expected label as well as whole
    groups allow. Two groups or more leave neither part empty. ``groups``: one number for each
    failure, where near-duplicates were grouped before. Groups of more rows than these will do: they
    may join some by a row between them, and separate none. Raises ValueError for a share outside
    (0, 1), or numbers that are not one for each.
    """
    if not 0 < heldout_share < 1:
        raise ValueError(f"heldout_share={heldout_share}: must lie between 0 and 1")
    if groups is not None and len(groups) != len(failures):
        raise ValueError(f"{len(groups)} groups for {len(failures)} failures: one for each")
    found = _members(failures, groups) if groups is not None else []
    if len(found) < 2:
        # Rows between the failures may have joined them all.
        found = _members(failures, group_near_duplicates([trace.text for trace in failures]))
    # Large groups go first: the single failures after them even out what they left.
    ordered = sorted(found, key=lambda g: (_label(g), -len(g), derive_id(seed, g[0].id)))
    held: list[Traces] = []
    repair: list[Traces] = []
    due, label = 0.0, None
    for group in ordered:
        if _label(group) != label:
            # What a label could not give falls to its neighbours only up to one failure.
            due, label = max(-1.0, min(1.0, due)), _label(group)
        due += heldout_share * len(group)
        take = due >= len(group) / 2
        due -= len(group) if take else 0
        (held if take else repair).append(group)
    _fill_empty(held, repair)
    _fill_empty(repair, held)
    return _sorted(repair), _sorted(held)


def measured_passes(
    passes: Sequence[JudgedTrace],
    repair: Sequence[JudgedTrace],
    *,
    heldout_size: int,
    share: float,
    seed: int,
    least: int = 0,
    on_loan: int = 0,
) -> tuple[Traces, Traces]:
    """Passing traces to keep right for good, and those to measure with before they are learned.

    Guarded are ``share`` (0.3 to 1.0) of the held-out failures' number, at least ``least`` where
    traffic has plenty, so that few failures are guarded too, and at most half of all. ``on_loan``
    more, at most a quarter of what is left, show what a candidate breaks in traffic. Labels take
    turns, so each is present before any is present twice more than another. No two are
    near-duplicates of each other, none is one of a repaired failure. Fewer when traffic has fewer.
    """
    if not 0.3 <= share <= 1.0:
        raise ValueError(f"share={share}: the regression set is 0.3 to 1.0 of the failure set")
    guarded = max(round(share * heldout_size), min(least, len(passes) // _PLENTY))
    guarded = min(guarded, ceil(len(passes) / _SCARCE))
    wanted = guarded + min(on_loan, max(0, len(passes) - guarded) // _LENT)
    trained = NearDuplicateIndex(trace.text for trace in repair)
    candidates = _labels_in_turn(_distinct(passes), seed)
    chosen: Traces = []
    reach = 0
    # Near-duplicates are compared among twice as many candidates until enough remain.
    while len(chosen) < wanted and reach < len(candidates):
        reach = max(2 * wanted, 2 * reach)
        chosen = _without_near_duplicates(candidates[:reach], trained)
    return _sorted([chosen[:guarded]]), _sorted([chosen[guarded:wanted]])


def training_pool(passes: Sequence[JudgedTrace], evaluation_texts: Iterable[str]) -> Traces:
    """Passes that may be trained on, by id: each text once, none near an evaluation text."""
    distinct = _distinct(passes)
    measured = NearDuplicateIndex(evaluation_texts).match_each([trace.text for trace in distinct])
    return [trace for trace, leaks in zip(distinct, measured, strict=True) if not leaks]


def _members(failures: Sequence[JudgedTrace], groups: Sequence[int]) -> list[Traces]:
    """The failures of each group, by id."""
    members: dict[int, Traces] = defaultdict(list)
    for trace, number in zip(failures, groups, strict=True):
        members[number].append(trace)
    return [sorted(group, key=lambda trace: trace.id) for group in members.values()]


def _label(group: Traces) -> str:
    """The expected label most members have."""
    if len(group) == 1:
        return group[0].corrected
    counts = Counter(trace.corrected for trace in group)
    return min(counts, key=lambda label: (-counts[label], label))


def _fill_empty(empty: list[Traces], other: list[Traces]) -> None:
    if not empty and len(other) > 1:
        smallest = min(other, key=len)
        other.remove(smallest)
        empty.append(smallest)


def _distinct(traces: Sequence[JudgedTrace]) -> Traces:
    """The first by id of each normalised text."""
    first: dict[str, JudgedTrace] = {}
    for trace in sorted(traces, key=lambda trace: trace.id):
        first.setdefault(normalise(trace.text), trace)
    return list(first.values())


def _labels_in_turn(traces: Traces, seed: int) -> Traces:
    """One of each label, then a second of each, and so on; seeded within a label."""
    of_label: dict[str, Traces] = defaultdict(list)
    for trace in sorted(traces, key=lambda trace: derive_id(seed, trace.id)):
        of_label[trace.corrected].append(trace)
    turns = zip_longest(*(of_label[label] for label in sorted(of_label)))
    return [trace for turn in turns for trace in turn if trace is not None]


def _without_near_duplicates(traces: Traces, trained: NearDuplicateIndex) -> Traces:
    """The first of each near-duplicate group, none a near-duplicate of what is trained on."""
    texts = [trace.text for trace in traces]
    first: dict[int, JudgedTrace] = {}
    for trace, number, known in zip(
        traces, group_near_duplicates(texts), trained.match_each(texts), strict=True
    ):
        if not known:
            first.setdefault(number, trace)
    return list(first.values())


def _sorted(groups: Iterable[Traces]) -> Traces:
    return sorted((trace for group in groups for trace in group), key=lambda trace: trace.id)
