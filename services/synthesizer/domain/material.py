"""What a curriculum may be made of: each text once, with one answer, nothing that is measured."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.synthesizer.domain.controls import leaks
from shared.domain.near_duplicates import normalise
from shared.domain.rows import FailureRow, Row
from shared.tasks import TaskBehaviour

Vectors = npt.NDArray[np.float32]

LEAK = "near-duplicate of an evaluation row"
DUPLICATE = "duplicate text"
CONTRADICTION = "same text, another answer"


@dataclass(frozen=True, slots=True)
class Material:
    """Failures and the pool of right rows: passes, then the parent's, each sorted by id.

    ``pool_vectors`` has a row for each of the first pool rows: the parent's may have none.
    """

    failures: tuple[FailureRow, ...]
    failure_vectors: Vectors
    pool: tuple[Row, ...]
    pool_vectors: Vectors
    passes: int
    dropped: dict[str, int]

    def named(self, behaviour: TaskBehaviour) -> "Material":
        """The same rows with the names of what they teach for answers.

        A failure stands among rows of the sort it must be supported by, and fell for the sort that
        contrasts best. Labels are their own names.
        """
        if behaviour.answers_are_labels:
            return self
        failures = [(row, behaviour.lesson(row.output, row.target)) for row in self.failures]
        return replace(
            self,
            failures=tuple(replace(row, target=of, output=to) for row, (of, to) in failures),
            pool=tuple(replace(row, target=behaviour.sort(row.target)) for row in self.pool),
        )

    def answers(self) -> dict[str, str]:
        """The right answer of each text."""
        return {row.text: row.target for row in (*self.failures, *self.pool)}


def gather(
    failures: Sequence[FailureRow],
    passes: Sequence[Row],
    embeddings: Vectors,
    parent_rows: Sequence[Row],
    *,
    parent_embeddings: Vectors | None,
    evaluation_texts: Iterable[str],
) -> Material:
    """Clean the material. Raises ValueError when the vectors do not fit the rows.

    Of one text with two answers the failure's correction stays, then the pass, then the parent's.
    """
    _require(embeddings, len(failures) + len(passes), "failures and passes")
    if parent_embeddings is not None:
        _require(parent_embeddings, len(parent_rows), "the parent's rows")
        embeddings = np.concatenate([embeddings, parent_embeddings])
    rows: list[FailureRow | Row] = [*failures, *passes, *parent_rows]
    measured = leaks(rows, evaluation_texts)
    first_pass, first_parent = len(failures), len(failures) + len(passes)
    answers = _agreed(row for row, leaked in zip(failures, measured, strict=False) if not leaked)
    dropped: Counter[str] = Counter()
    kept: list[int] = []
    known: set[str] = set()
    for at in _in_order(rows, first_pass, first_parent):
        text = normalise(rows[at].text)
        if measured[at]:
            dropped[LEAK] += 1
        elif answers.setdefault(text, rows[at].target) != rows[at].target:
            dropped[CONTRADICTION] += 1
        elif text in known:
            dropped[DUPLICATE] += 1
        else:
            known.add(text)
            kept.append(at)
    pool = [at for at in kept if at >= first_pass]
    return Material(
        failures=tuple(row for at in kept if isinstance(row := rows[at], FailureRow)),
        failure_vectors=embeddings[[at for at in kept if at < first_pass]],
        pool=tuple(row for at in pool if isinstance(row := rows[at], Row)),
        pool_vectors=embeddings[[at for at in pool if at < len(embeddings)]],
        passes=sum(at < first_parent for at in pool),
        dropped=dict(sorted(dropped.items())),
    )


def _require(vectors: Vectors, rows: int, of: str) -> None:
    if vectors.ndim != 2 or len(vectors) != rows:
        raise ValueError(f"embeddings {vectors.shape} of {of}: {rows} rows are needed")


def _agreed(failures: Iterable[FailureRow]) -> dict[str, str]:
    """The answer most corrections of each text give; of equally many the first by name."""
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for row in failures:
        given[normalise(row.text)][row.target] += 1
    return {
        text: min(targets, key=lambda target: (-targets[target], target))
        for text, targets in given.items()
    }


def _in_order(rows: Sequence[FailureRow | Row], *borders: int) -> list[int]:
    """Positions by kind (the borders), then id: what comes first wins."""
    return sorted(
        range(len(rows)),
        key=lambda at: (sum(at >= border for border in borders), rows[at].id, rows[at].text),
    )
