"""D = gold ∪ hard ∪ replay, composed from failures, passing traffic and the parent (§2.6 step 5)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from math import ceil

from services.synthesizer.domain.controls import FAILURE, Checks, balance, check, surface
from services.synthesizer.domain.material import Material, Vectors, gather
from services.synthesizer.domain.neighbourhood import Neighbourhood
from shared.domain.ids import derive_id
from shared.domain.pipeline import DataSpec
from shared.domain.rows import FailureRow, Role, Row, TrainingRow

CAPPED = "label above the ratio"
PASS, PARENT = "pass", "parent"

_Pick = tuple[int, Role, str]


@dataclass(frozen=True, slots=True)
class Curriculum:
    """A training set in order of precedence: gold, hard, replay.

    ``dropped`` counts what the controls took out, by reason; ``shortfall`` how many rows of a role
    the material could not give.
    """

    rows: tuple[TrainingRow, ...]
    dropped: dict[str, int]
    shortfall: dict[Role, int]
    checks: Checks

    def count(self, role: Role) -> int:
        return sum(row.role is role for row in self.rows)


def compose(
    failures: Sequence[FailureRow],
    passes: Sequence[Row],
    embeddings: Vectors,
    parent_rows: Sequence[Row],
    spec: DataSpec,
    *,
    parent_embeddings: Vectors | None = None,
    evaluation_texts: Iterable[str] = (),
    parent: str = "the parent's training set",
) -> Curriculum:
    """Compose a training set of about ``spec.size`` rows, the same for equal input in any order.

    ``embeddings`` is float32 [failures + passes, d], rows L2-normalised, ``parent_embeddings`` the
    same for the parent's rows; without them these are not searched, only replayed. Every failure is
    in: when they exceed their share, the whole grows so that the shares stay. Labels are balanced
    last, which may shift the shares. Raises ValueError when vectors and rows do not fit.
    """
    material = gather(
        failures, passes, embeddings, parent_rows, parent_embeddings, evaluation_texts
    )
    gold, hard, replay = _targets(spec, len(material.failures))
    draft = _Draft(material, spec, parent)
    draft.add_failures()
    shortfall = {
        Role.GOLD: draft.take(draft.near.support(gold), gold - len(material.failures)),
        Role.HARD: draft.take(draft.near.contrast(hard), hard),
    }
    for pattern in sorted({row.pattern for row in material.failures}):
        draft.take(draft.near.surgical(pattern), spec.surgical)
    # Replay last: truncation must never drop gold.
    shortfall[Role.REPLAY] = draft.take(draft.replay(), replay)
    return draft.finish(shortfall, gold + hard + replay)


def _targets(spec: DataSpec, failures: int) -> tuple[int, int, int]:
    """Rows aimed at as gold, hard and replay."""
    size = max(spec.size, ceil(failures / spec.gold) if spec.gold else spec.size + failures)
    gold, hard = max(failures, round(spec.gold * size)), round(spec.hard * size)
    return gold, hard, max(0, size - gold - hard)


class _Draft:
    """A training set while rows are taken from the material, no row twice."""

    def __init__(self, material: Material, spec: DataSpec, parent: str) -> None:
        self._material, self._spec, self._parent = material, spec, parent
        self._rows: list[TrainingRow] = []
        self._taken: set[int] = set()
        self.near = Neighbourhood(material, self._taken, self._in_fair_order())

    def add_failures(self) -> None:
        for row in self._material.failures:
            reason = f"failed as {row.output} in trace {row.id}"
            self._rows.append(
                TrainingRow(row.id, row.text, row.target, Role.GOLD, FAILURE, reason)
            )

    def take(self, picks: Iterator[_Pick], count: int) -> int:
        """Take the first ``count`` rows not taken before; how many are missing."""
        while count > 0 and (pick := next(picks, None)) is not None:
            if pick[0] not in self._taken:
                self._taken.add(pick[0])
                self._rows.append(self._row(*pick))
                count -= 1
        return max(count, 0)

    def replay(self) -> Iterator[_Pick]:
        """Each label once, then always the label that has fewest rows so far."""
        size = Counter(row.target for row in self._rows)
        waiting = {
            label: iter([at for at in order if at not in self._taken])
            for label, order in self._in_fair_order().items()
        }
        fresh = set(waiting)
        while waiting:
            label = min(fresh or waiting, key=lambda label: (size[label], label))
            fresh.discard(label)
            if (at := next(waiting[label], None)) is None:
                del waiting[label]
                continue
            size[label] += 1
            yield at, Role.REPLAY, self._replayed(at)

    def finish(self, shortfall: dict[Role, int], aim: int) -> Curriculum:
        """Balance the labels, put the roles in order and check the controls."""
        material, ratio = self._material, self._spec.max_label_ratio
        order = list(Role)
        rows = sorted(self._rows, key=lambda row: order.index(row.role))
        reserve = [
            self._row(at, Role.REPLAY, f"{self._replayed(at)}, to balance {material.pool[at].target}")
            for at in chain(*self._in_fair_order().values())
            if at not in self._taken
        ]
        aim = max(aim, len(rows))
        balanced = balance(rows, reserve, ratio=ratio, aim=aim)
        present = {(row.source, row.id) for row in balanced.rows}
        uncontrasted = self.near.uncontrasted(
            {at for at in range(len(material.pool)) if (self._source(at), material.pool[at].id) in present}
        )
        dropped = {**material.dropped, **({CAPPED: balanced.capped} if balanced.capped else {})}
        texts = [row.text for row in material.failures]
        return Curriculum(
            balanced.rows,
            dropped,
            {role: missing for role, missing in shortfall.items() if missing},
            check(balanced.rows, texts, uncontrasted, ratio=ratio),
        )
