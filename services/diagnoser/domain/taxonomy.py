"""Error patterns: failures grouped by what was confused, then by meaning (paper §2.6 step 2)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from services.diagnoser.domain.background import Background
from services.diagnoser.domain.likeness import likeness
from services.diagnoser.domain.root_cause import Signs, root_cause, untaught
from services.diagnoser.domain.shapes import noise_shares, shape
from shared.domain.ids import derive_id
from shared.domain.near_duplicates import normalise
from shared.domain.patterns import Character, Confusion, ErrorPattern
from shared.domain.traces import JudgedTrace

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

NOTHING_KNOWN = Background()

_EXAMPLES = 3
_CONFUSIONS = 8
_QUOTED = 56
_ROUNDS = 20
# A mean cosine distance to the centroid below this is one meaning, however it could be divided.
_TIGHT = 0.1


def find_patterns(
    failures: Sequence[JudgedTrace],
    embeddings: Vectors,
    background: Background = NOTHING_KNOWN,
    *,
    min_size: int = 3,
    split_from: int = 24,
    min_separation: float = 0.25,
) -> tuple[ErrorPattern, ...]:
    """Every failure in exactly one pattern, largest pattern first.

    ``embeddings`` is float32 [n, d], rows L2-normalised, in the order of ``failures``. Pairs of
    fewer than ``min_size`` join others of the same expected label. Those of ``split_from`` or more
    are halved while the halves differ in meaning by at least ``min_separation`` (a silhouette, -1
    to 1). ``background`` tells root causes and characters apart; without it causes are unclear.
    The time is near-linear in n. Raises ValueError when the shapes do not fit.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(failures):
        raise ValueError(
            f"embeddings {embeddings.shape} for {len(failures)} failures: one row for each"
        )
    order = sorted(range(len(failures)), key=lambda at: (failures[at].id, failures[at].text))
    rows, vectors = [failures[at] for at in order], embeddings[order]
    describe = _Describer(rows, vectors, background)
    found = [
        describe.pattern(expected, predicted, _typical_first(vectors, part))
        for (expected, predicted), members in _confusions(rows, min_size)
        for part in _by_meaning(vectors, members, split_from, min_size, min_separation)
    ]
    return tuple(sorted(found, key=lambda p: (-p.size, p.name, p.id)))


def _confusions(
    rows: Sequence[JudgedTrace], min_size: int
) -> Iterable[tuple[tuple[str, str | None], Positions]]:
    """Positions by (expected, predicted); small confusions of one expected label under None."""
    pairs: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        pairs[row.corrected, row.output].append(at)
    small: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair, members in pairs.items():
        if len(members) < min_size:
            small[pair[0]].append(pair)
    merged: dict[tuple[str, str | None], list[int]] = {**pairs}
    for expected, few in small.items():
        # One small confusion alone would lose its name and gain no company.
        if len(few) > 1:
            merged[expected, None] = sorted(at for pair in few for at in merged.pop(pair))
    for pair, members in merged.items():
        yield pair, np.array(members, np.int64)


def _by_meaning(
    vectors: Vectors, members: Positions, split_from: int, min_size: int, min_separation: float
) -> list[Positions]:
    """Bisecting spherical 2-means, deterministic, no half smaller than ``min_size``."""
    done: list[Positions] = []
    open_ = [members]
    while open_:
        part = open_.pop()
        halves = _halves(vectors[part], min_separation) if len(part) >= split_from else None
        if halves is None or min(halves.sum(), (~halves).sum()) < min_size:
            done.append(part)
        else:
            open_ += [part[halves], part[~halves]]
    return done


def _halves(vectors: Vectors, min_separation: float) -> npt.NDArray[np.bool_] | None:
    """Which rows belong to the first half, or None when there is no clear division."""
    if float(np.mean(1 - vectors @ _direction(vectors))) < _TIGHT:
        return None
    # Start from the row farthest from the mean, and the row farthest from that one.
    first = vectors[np.argmin(vectors @ vectors.mean(axis=0))]
    centres = np.stack([first, vectors[np.argmin(vectors @ first)]])
    side = np.zeros(len(vectors), bool)
    for _ in range(_ROUNDS):
        near = vectors @ centres.T
        moved = near[:, 0] >= near[:, 1]
        if moved.all() or not moved.any():
            return None
        if (moved == side).all():
            break
        side = moved
        centres = np.stack([_direction(vectors[side]), _direction(vectors[~side])])
    distance = 1 - vectors @ centres.T
    own, other = distance.min(axis=1), distance.max(axis=1)
    separation = float(np.mean((other - own) / np.maximum(other, 1e-9)))
    return side if separation >= min_separation else None


def _direction(vectors: Vectors) -> Vectors:
    mean = vectors.mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _typical_first(vectors: Vectors, members: Positions) -> list[int]:
    """Members by cosine to their centroid, nearest first; ties by position."""
    near = vectors[members] @ _direction(vectors[members])
    return members[np.argsort(-near.round(6), kind="stable")].tolist()


class _Describer:
    """Says of each group of failures what a pattern says."""

    def __init__(
        self, rows: Sequence[JudgedTrace], vectors: Vectors, background: Background
    ) -> None:
        self._rows = rows
        self._verdicts = background.verdicts
        self._signs = Signs(
            likeness(rows, vectors, background),
            background.verdicts,
            noise_shares(background.passes, background.verdicts),
        )
        passed = Counter(trace.corrected for trace in background.passes)
        missed = Counter(row.corrected for row in rows)
        given = Counter(row.output for row in rows)
        self._missed = {label: n / (n + passed[label]) for label, n in missed.items()}
        self._wrongly_given = {label: n / (n + passed[label]) for label, n in given.items()}

    def pattern(
        self, expected: str, predicted: str | None, positions: Sequence[int]
    ) -> ErrorPattern:
        members = [self._rows[at] for at in positions]
        ids = tuple(member.id for member in members)
        given = Counter(member.output for member in members)
        cause, evidence = root_cause(self._rows, positions, self._signs)
        return ErrorPattern(
            id=derive_id("pattern", expected, predicted or "", *sorted(ids)),
            name=f"{expected} → {predicted or 'other labels'}: {_quote(members[0].text)}",
            expected=expected,
            predicted=predicted,
            members=ids,
            share=len(ids) / len(self._rows),
            mean_words=sum(len(member.text.split()) for member in members) / len(members),
            examples=_examples(members),
            confusions=tuple(
                Confusion(expected, label, count)
                for label, count in sorted(given.items(), key=lambda item: (-item[1], item[0]))
            )[:_CONFUSIONS],
            shape=shape(members, self._verdicts),
            character=self._character(expected, given),
            cause=cause,
            evidence=evidence,
            covered=float(np.mean(self._signs.likeness.covered[list(positions)])),
            fixable=untaught(members, self._verdicts) < 1 / 2,
        )

    def _character(self, expected: str, given: Counter[str]) -> Character:
        """Precision when the labels given are given wrongly more often than the right is missed."""
        wrongly = sum(self._wrongly_given[label] * n for label, n in given.items()) / given.total()
        return Character.PRECISION if wrongly > self._missed[expected] else Character.RECALL


def _examples(members: Sequence[JudgedTrace]) -> tuple[str, ...]:
    """The first texts that are not the same but for case and stops."""
    distinct: dict[str, str] = {}
    for member in members:
        distinct.setdefault(normalise(member.text), member.text)
        if len(distinct) == _EXAMPLES:
            break
    return tuple(distinct.values())


def _quote(text: str) -> str:
    flat = " ".join(text.split())
    return f'"{flat if len(flat) <= _QUOTED else flat[: _QUOTED - 1].rstrip() + "…"}"'
