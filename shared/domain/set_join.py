"""Which sets are similar to which: connected groups of one collection, matches between two."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from shared.domain.similar_sets import (
    Codes,
    Flags,
    Ints,
    Sets,
    Signatures,
    bands,
    reaches,
    reaching,
    signatures,
)

Pairs = Iterator[tuple[Ints, Ints]]

# Bound the memory, and let what one batch found spare the work of the next.
_PAIRS_AT_ONCE = 1_000_000
# Below this many pairs counting all overlaps at once is faster than looking for candidates.
_FEW_PAIRS = 4_000_000


def group_similar(kinds: Sequence[Sets], count: int, threshold: float) -> Ints:
    """For each of ``count`` things the first of its group.

    Things are of one group when a chain of pairs links them that are similar in any of the kinds.
    """
    groups = _Groups(count)
    for sets in kinds:
        for band in bands(sets.sizes, threshold):
            for left, right in groups.candidates(signatures(sets, band)):
                open_ = groups.of[left] != groups.of[right]
                a, b = left[open_], right[open_]
                similar = reaching(sets, sets, a, b, threshold)
                groups.unite(a[similar], b[similar])
    return groups.of


def match_any(asked: Sets, known: Sets, threshold: float) -> Flags:
    """Which of the asked sets are similar to any known one."""
    alphabet = np.union1d(asked.alphabet, known.alphabet)
    asked, known = asked.over(alphabet), known.over(alphabet)
    answer = np.zeros(len(asked.sizes), bool)
    if len(asked.sizes) * len(known.sizes) <= _FEW_PAIRS:
        overlap = (known.rows @ asked.rows.T).tocoo()
        union = known.sizes[overlap.row] + asked.sizes[overlap.col] - overlap.data
        answer[overlap.col[reaches(overlap.data, union, threshold)]] = True
        return answer
    for band in bands(asked.sizes, threshold):
        for left, right in _across(signatures(asked, band), signatures(known, band)):
            open_ = ~answer[left]
            a, b = left[open_], right[open_]
            answer[a[reaching(asked, known, a, b, threshold)]] = True
    return answer


class _Groups:
    """``of``: for each member the first of its group so far."""

    def __init__(self, count: int) -> None:
        self.of: Ints = np.arange(count)

    def candidates(self, found: Signatures) -> Pairs:
        """Pairs that share a signature, few of them from a group that is already one."""
        order = np.argsort(found.whole)
        keys, owners = found.whole[order], found.owner[order]
        fresh = np.diff(keys, prepend=~keys[:1]) != 0
        first = np.maximum.accumulate(np.where(fresh, np.arange(len(keys)), 0))
        # One of each bucket with all others of it: most buckets are one group after this.
        yield owners[first[~fresh]], owners[~fresh]
        order = np.lexsort((self.of[owners], keys))
        keys, owners = keys[order], owners[order]
        yield from _pairs(owners, _next_change(keys, self.of[owners]), _next_change(keys), owners)
        asked, start, end = _lookup(keys, found.lacking)
        one_group = _next_change(keys, self.of[owners])[start] == end
        known = one_group & (self.of[owners[start]] == self.of[found.lacking_owner[asked]])
        asked, start, end = asked[~known], start[~known], end[~known]
        yield from _pairs(found.lacking_owner[asked], start, end, owners)

    def unite(self, a: Ints, b: Ints) -> None:
        if len(a):
            nodes = len(self.of)
            left, right = np.r_[np.arange(nodes), a], np.r_[self.of, b]
            graph = sparse.coo_matrix((np.ones(len(left), bool), (left, right)), (nodes, nodes))
            label = csgraph.connected_components(graph, directed=False)[1]
            _, first = np.unique(label, return_index=True)
            self.of = first[label]


def _across(asked: Signatures, known: Signatures) -> Pairs:
    """Pairs (asked, known) that share a signature."""
    order = np.argsort(known.whole)
    keys, owners = known.whole[order], known.owner[order]
    at, start, end = _lookup(keys, asked.whole)
    yield from _pairs(asked.owner[at], start, end, owners)
    at, start, end = _lookup(keys, asked.lacking)
    yield from _pairs(asked.lacking_owner[at], start, end, owners)
    order = np.argsort(asked.whole)
    at, start, end = _lookup(asked.whole[order], known.lacking)
    for right, left in _pairs(known.lacking_owner[at], start, end, asked.owner[order]):
        yield left, right


def _lookup(ordered: Codes, keys: Codes) -> tuple[Ints, Ints, Ints]:
    """(index into ``keys``, start, end in ``ordered``) of every key that occurs there."""
    # Most keys occur nowhere: a table of their first bits says so without a search.
    bits = min(24, len(ordered).bit_length() + 3)
    shift = np.uint64(64 - bits)
    table = np.zeros(1 << bits, bool)
    table[ordered >> shift] = True
    at = np.flatnonzero(table[keys >> shift])
    start = np.searchsorted(ordered, keys[at])
    end = np.searchsorted(ordered, keys[at], side="right")
    there = end > start
    return at[there], start[there], end[there]


def _next_change(*sorted_by: Codes | Ints) -> Ints:
    """For each position the next one where any of the columns changes, at last the length."""
    change = np.zeros(len(sorted_by[0]), bool)
    change[-1:] = True
    for column in sorted_by:
        change[:-1] |= column[1:] != column[:-1]
    ends = np.flatnonzero(change) + 1
    return np.repeat(ends, np.diff(ends, prepend=0))


def _pairs(left: Ints, start: Ints, end: Ints, right: Ints) -> Pairs:
    """``left[i]`` with each of ``right[start[i] : end[i]]``, in batches."""
    total = np.cumsum(end - start)
    first = 0
    while first < len(left):
        before = int(total[first - 1]) if first else 0
        reach = int(np.searchsorted(total, before + _PAIRS_AT_ONCE, side="right"))
        last = max(first + 1, reach)
        length = (end - start)[first:last]
        index = np.repeat(np.arange(first, last), length)
        place = np.repeat(start[first:last] - (np.cumsum(length) - length), length)
        yield left[index], right[place + np.arange(len(place))]
        first = last
