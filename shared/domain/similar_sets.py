"""Sets of codes, and signatures that any two similar ones share.

Sets whose Jaccard similarity reaches a threshold differ in at most ``d`` elements, which follows
from their sizes. With the elements dealt into ``d // 2 + 1`` parts by a hash, two such sets differ
by at most one element in some part (PartEnum: Arasu, Ganti and Kaushik 2006). So the sum of that
part's hashes is equal in both, or becomes equal when one element is taken out. Few other pairs
share as much, and these are compared exactly: no pair is missed and none is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

# 0.8 · 35 is 28.000000000000004, and must not ask for 29.
_SLACK = 1e-9
# How far the sizes of a band reach, as a power of the threshold. Narrow bands allow fewer
# differences, wide ones repeat less work; this was fastest on 100,000 intent queries.
_WIDTH = 0.6
_SKETCH_WORDS = 4


@dataclass(frozen=True)
class Sets:
    """Set ``i`` holds the codes ``alphabet[members[starts[i] : starts[i + 1]]]``, each once.

    ``alphabet`` is sorted and holds each code once.
    """

    alphabet: Codes
    members: npt.NDArray[np.int32]
    starts: Ints

    @cached_property
    def sizes(self) -> Ints:
        return np.diff(self.starts)

    @cached_property
    def sketches(self) -> Codes:
        """[sets, 4]: parities of 256 buckets, so two sets differ in at least as many elements."""
        bit = mixed(self.alphabet, 1) >> np.uint64(56)
        one = np.uint64(1) << (bit & np.uint64(63))
        found = np.zeros((len(self.sizes), _SKETCH_WORDS), np.uint64)
        filled = np.flatnonzero(self.sizes)
        for word in range(_SKETCH_WORDS if len(filled) else 0):
            inside = np.where(bit >> np.uint64(6) == word, one, np.uint64(0))
            found[filled, word] = np.bitwise_xor.reduceat(inside[self.members], self.starts[filled])
        return found

    @cached_property
    def rows(self) -> Any:
        """A 0/1 CSR matrix over the alphabet."""
        ones = np.ones(len(self.members), np.int32)
        shape = (len(self.sizes), len(self.alphabet))
        return sparse.csr_matrix((ones, self.members, self.starts), shape=shape)

    def over(self, alphabet: Codes) -> "Sets":
        """The same sets over an alphabet that contains this one."""
        place = np.searchsorted(alphabet, self.alphabet).astype(np.int32)
        return Sets(alphabet, place[self.members], self.starts)


def reaching(left: Sets, right: Sets, a: Ints, b: Ints, threshold: float) -> Flags:
    """Which pairs (set ``a`` of left, set ``b`` of right) reach the threshold; one alphabet."""
    total = left.sizes[a] + right.sizes[b]
    # The sketches settle nearly all pairs at a small part of the cost.
    apart = np.bitwise_count(left.sketches[a] ^ right.sketches[b]).sum(axis=1, dtype=np.int64)
    apart = np.maximum(apart, np.abs(left.sizes[a] - right.sizes[b]))
    near = np.flatnonzero(apart <= _most_differing(total, threshold))
    shared = left.rows[a[near]].multiply(right.rows[b[near]]).sum(axis=1)
    overlap = np.asarray(shared).ravel()
    found = np.zeros(len(a), bool)
    found[near] = reaches(overlap, total[near] - overlap, threshold)
    return found


def reaches(overlap: Ints, union: Ints, threshold: float) -> Flags:
    return overlap >= threshold * union - _SLACK


@dataclass(frozen=True, slots=True)
class Band:
    """Pairs whose smaller set has ``low`` to ``high`` elements and the larger up to ``reach``."""

    low: int
    high: int
    reach: int
    differing: int


def bands(sizes: Ints, threshold: float) -> Iterator[Band]:
    """Every similar pair with a set of these sizes lies within one band or more."""
    low, largest = 1, int(sizes.max(initial=0))
    while low <= largest:
        high = floor(low * threshold**-_WIDTH + _SLACK)
        reach = floor(high / threshold + _SLACK)
        differing = floor(_most_differing(np.array(high + reach), threshold))
        yield Band(low, high, reach, differing)
        low = high + 1


@dataclass(frozen=True, slots=True)
class Signatures:
    """``whole[i]``: of one part of set ``owner[i]``; ``lacking[j]``: the same less one element."""

    whole: Codes
    owner: Ints
    lacking: Codes
    lacking_owner: Ints


def signatures(sets: Sets, band: Band) -> Signatures:
    """Of every part of every set in the band. Similar sets share a ``whole``, or one's is
    the other's ``lacking``."""
    within = np.flatnonzero((sets.sizes >= band.low) & (sets.sizes <= band.reach))
    sizes, parts = sets.sizes[within], band.differing // 2 + 1
    place = np.repeat(sets.starts[within] - (np.cumsum(sizes) - sizes), sizes)
    member = sets.members[place + np.arange(len(place))]
    part = (mixed(sets.alphabet, 2) % np.uint64(parts)).astype(np.int64)[member]
    value = mixed(sets.alphabet, 3)[member]
    cell = np.repeat(np.arange(len(within)) * parts, sizes) + part
    whole = _sums(value, cell, len(within) * parts)
    # Equal sums of different parts must not meet.
    whole += np.tile(mixed(np.arange(parts, dtype=np.uint64), 4), len(within))
    # With an even number of differences, no more than one in each other part leaves none for it.
    varied = part >= (1 if band.differing % 2 == 0 else 0)
    lacking = (whole[cell] - value)[varied]
    return Signatures(whole, np.repeat(within, parts), lacking, np.repeat(within, sizes)[varied])


def mixed(codes: Codes, salt: int) -> Codes:
    """Splitmix64: a bijection, so different codes stay different."""
    found = codes + np.uint64((salt * 0x9E3779B97F4A7C15) % (1 << 64))
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def _sums(values: Codes, cell: Ints, cells: int) -> Codes:
    """The sum modulo 2**64 of the values in each cell."""
    # In halves, because float64 adds whole numbers below 2**53 without loss.
    low = np.bincount(cell, weights=values & np.uint64(0xFFFFFFFF), minlength=cells)
    high = np.bincount(cell, weights=values >> np.uint64(32), minlength=cells)
    return low.astype(np.uint64) + (high.astype(np.uint64) << np.uint64(32))


def _most_differing(total: Ints, threshold: float) -> npt.NDArray[np.float64]:
    """The most elements that are in one of two similar sets only, from the sum of their sizes."""
    share = (1 - threshold) / (1 + threshold)
    return share * total.astype(np.float64) + _SLACK
