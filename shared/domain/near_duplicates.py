"""Which texts say nearly the same: exact Jaccard search by prefix filtering, without all pairs.

Two texts are near-duplicates when their sets of words, or of their words' letter trigrams, have a
Jaccard similarity of at least the threshold (paper App. B: 0.8). Words catch an added or dropped
word, trigrams a misspelt one; neither heeds order, case or punctuation. A text of one or two words
has so few features that only an equal one reaches the threshold. What holds no word at all ("???")
equals only itself.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

THRESHOLD = 0.8

Ints = npt.NDArray[np.int64]
Features = Callable[[str], tuple[str, ...]]

_WORD = re.compile(r"\w+")
_APOSTROPHES = str.maketrans("", "", "'’")
_PRODUCTS_AT_ONCE = 4_000_000
_COMPARED_AT_ONCE = 200_000
_EDGES_AT_ONCE = 5_000_000


def normalise(text: str) -> str:
    """The words in lower case with single spaces; a text without words keeps its other signs."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return " ".join(_WORD.findall(folded)) or " ".join(folded.split())


def group_near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[int]:
    """The group of each text, numbered by first appearance; transitive, so chains are one group."""
    positions: dict[str, int] = {}
    place = [positions.setdefault(normalise(text), len(positions)) for text in texts]
    distinct = list(positions)
    left, right = np.empty(0, np.int64), np.empty(0, np.int64)
    for features, shared in _KINDS:
        for found_left, found_right in _Sets(distinct, features, shared, threshold).similar(
            distinct
        ):
            later = found_left < found_right
            left = np.concatenate([left, found_left[later]])
            right = np.concatenate([right, found_right[later]])
            if len(left) > _EDGES_AT_ONCE:
                right = _components(len(distinct), left, right)
                left = np.arange(len(distinct))
    group = _components(len(distinct), left, right)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(int(group[at]), len(numbers)) for at in place]


class NearDuplicateIndex:
    """Answers whether a text is a near-duplicate of any of the texts it was built from."""

    def __init__(self, texts: Iterable[str], threshold: float = THRESHOLD) -> None:
        distinct = sorted({normalise(text) for text in texts})
        self._equal = frozenset(distinct)
        self._sets = [_Sets(distinct, *kind, threshold) for kind in _KINDS]

    def matches(self, text: str) -> bool:
        """For many texts ``match_each`` is far faster."""
        return self.match_each([text])[0]

    def match_each(self, texts: Sequence[str]) -> list[bool]:
        """One answer for each text."""
        normal = [normalise(text) for text in texts]
        answer = np.array([text in self._equal for text in normal], bool)
        for sets in self._sets:
            open_ = np.flatnonzero(~answer)
            for left, _ in sets.similar([normal[at] for at in open_]):
                answer[open_[left]] = True
        return answer.tolist()


def _words(word: str) -> tuple[str, ...]:
    return (word,)


def _trigrams(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    return tuple(padded[at : at + 3] for at in range(len(padded) - 2))


# How many prefix features two sets must share before they are compared exactly. More means longer
# prefixes but fewer comparisons; these were fastest on 30,000 intent queries.
_KINDS: tuple[tuple[Features, int], ...] = ((_words, 2), (_trigrams, 4))


class _Sets:
    """Feature sets as the rows of a sparse matrix.

    Columns are numbered rarest first, so the first entries of a row are its prefix: sets that are
    similar enough must share ``shared`` of them (Chaudhuri 2006; Bayardo 2007; Wang 2012).
    """

    def __init__(
        self, texts: Sequence[str], features: Features, shared: int, threshold: float
    ) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold={threshold}: must be above 0 and at most 1")
        self._features, self._shared, self._threshold = features, shared, threshold
        self._known: dict[str, int] = {}
        raw, self._sizes = self._encode(texts, grow=True)
        rank = np.empty(raw.shape[1], np.int64)
        rank[np.argsort(np.bincount(raw.indices, minlength=raw.shape[1]), kind="stable")] = (
            np.arange(raw.shape[1])
        )
        self._known = {feature: int(rank[at]) for feature, at in self._known.items()}
        self._rows, self._sizes = self._encode(texts)
        self._prefixes = self._prefix(self._rows, self._sizes).T.tocsr()

    def similar(self, texts: Sequence[str]) -> Iterator[tuple[Ints, Ints]]:
        """Pairs (position in ``texts``, own position) that reach the threshold, in batches."""
        if not texts or not self._known:
            return
        rows, sizes = self._encode(texts)
        prefixes = self._prefix(rows, sizes)
        work = np.cumsum(prefixes @ np.diff(self._prefixes.indptr))
        batch = work // _PRODUCTS_AT_ONCE
        starts = np.flatnonzero(np.r_[True, batch[1:] != batch[:-1]]).tolist()
        for start, stop in zip(starts, [*starts[1:], len(texts)], strict=True):
            shared = (prefixes[start:stop] @ self._prefixes).tocoo()
            left, right = shared.row.astype(np.int64) + start, shared.col.astype(np.int64)
            larger = np.maximum(sizes[left], self._sizes[right])
            smaller = np.minimum(sizes[left], self._sizes[right])
            needed = self._least_overlap(larger)
            kept = (shared.data >= np.minimum(needed, self._shared)) & (smaller >= needed)
            yield from self._reaching(rows, sizes, left[kept], right[kept])

    def _reaching(
        self, rows: Any, sizes: Ints, left: Ints, right: Ints
    ) -> Iterator[tuple[Ints, Ints]]:
        for at in range(0, len(left), _COMPARED_AT_ONCE):
            a, b = left[at : at + _COMPARED_AT_ONCE], right[at : at + _COMPARED_AT_ONCE]
            overlap = np.asarray(rows[a].multiply(self._rows[b]).sum(axis=1)).ravel()
            union = sizes[a] + self._sizes[b] - overlap
            reached = overlap >= self._threshold * union - 1e-9
            yield a[reached], b[reached]

    def _least_overlap(self, sizes: Ints) -> Ints:
        # Without the slack 0.8 · 35 = 28.000000000000004 would ask for 29.
        return np.ceil(self._threshold * sizes - 1e-9).astype(np.int64)

    def _prefix(self, rows: Any, sizes: Ints) -> Any:
        """Only the prefix of each row; unknown features are the rarest and use it up first."""
        known = np.diff(rows.indptr)
        length = sizes - self._least_overlap(sizes) + self._shared - (sizes - known)
        position = np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], known)
        kept = position < np.repeat(length, known)
        counts = np.add.reduceat(np.r_[kept, False].astype(np.int64), rows.indptr[:-1])
        counts[known == 0] = 0
        indptr = np.r_[0, np.cumsum(counts)]
        return sparse.csr_matrix((rows.data[kept], rows.indices[kept], indptr), shape=rows.shape)

    def _encode(self, texts: Sequence[str], *, grow: bool = False) -> tuple[Any, Ints]:
        """A 0/1 CSR matrix of the known features, and the full size of each set."""
        known, of_word = self._known, dict[str, tuple[str, ...]]()
        indices: list[int] = []
        ends, sizes = [0], list[int]()
        for text in texts:
            found: set[str] = set()
            for word in text.split():
                if word not in of_word:
                    of_word[word] = self._features(word)
                found.update(of_word[word])
            if grow:
                for feature in found:
                    known.setdefault(feature, len(known))
            indices.extend(sorted(known[feature] for feature in found if feature in known))
            ends.append(len(indices))
            sizes.append(len(found))
        data = np.ones(len(indices), np.int32)
        shape = (len(texts), len(known))
        matrix = sparse.csr_matrix((data, np.array(indices, np.int32), np.array(ends)), shape=shape)
        return matrix, np.array(sizes, np.int64)


def _components(nodes: int, left: Ints, right: Ints) -> Ints:
    """For each node the first node of its connected component."""
    graph = sparse.coo_matrix((np.ones(len(left), bool), (left, right)), shape=(nodes, nodes))
    label = csgraph.connected_components(graph, directed=False)[1]
    _, first = np.unique(label, return_index=True)
    return first[label]
