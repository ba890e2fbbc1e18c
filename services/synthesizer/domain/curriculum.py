"""D = gold ∪ hard ∪ replay, from failures, passing traffic and the parent (paper §2.6 step 5)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from math import ceil

from services.synthesizer.domain.controls import FAILURE, Checks, balance, check, surface
from services.synthesizer.domain.material import Material, Vectors, gather
from services.synthesizer.domain.neighbourhood import Neighbourhood, Pick
from shared.domain.ids import derive_id
from shared.domain.pipeline import DataSpec
from shared.domain.rows import FailureRow, Role, Row, TrainingRow
from shared.tasks import TaskBehaviour
from shared.tasks.classification import Classification

CAPPED = "label above the ratio"
PASS, PARENT = "pass", "parent"
_LABELS = Classification()


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
    task: TaskBehaviour = _LABELS,
) -> Curriculum:
    """Compose a training set of about ``spec.size`` rows, the same for equal input in any order.

    ``embeddings`` is float32 [failures + passes, d], rows L2-normalised, ``parent_embeddings`` the
    same for the parent's rows; without them these are not searched, only replayed. Every failure is
    in: when they exceed their share, the whole grows so that the shares stay. Labels are balanced
    last, which may shift the shares; answers of a ``task`` without labels by their sort. Raises
    ValueError when vectors and rows do not fit.
    """
    found = gather(
        failures,
        passes,
        embeddings,
        parent_rows,
        parent_embeddings=parent_embeddings,
        evaluation_texts=evaluation_texts,
    )
    material = found.named(task)
    gold, hard, replay = _targets(spec, len(material.failures))
    near = Neighbourhood(material, max(gold, hard))
    said = [task.confusion(row.output, row.target)[1] for row in found.failures]
    draft = _Draft(material, spec.seed, parent, said)
    missing = {
        Role.GOLD: draft.take(near.support(draft.by_label), gold - len(material.failures)),
        Role.HARD: draft.take(near.contrast(draft.taken.keys()), hard),
    }
    patterns = sorted({row.pattern for row in material.failures}) if spec.surgical else []
    for pattern in patterns:
        draft.take(near.surgical(pattern), spec.surgical)
    # Replay last: truncation must never drop gold.
    missing[Role.REPLAY] = draft.take(draft.replay(), replay)
    size = gold + hard + replay + spec.surgical * len(patterns)
    done = _finish(draft, near, material, missing, ratio=spec.max_label_ratio, size=size)
    answers = found.answers()
    return replace(done, rows=tuple(replace(row, target=answers[row.text]) for row in done.rows))


def _targets(spec: DataSpec, failures: int) -> tuple[int, int, int]:
    """Rows aimed at as gold, hard and replay."""
    size = max(spec.size, ceil(failures / spec.gold) if spec.gold else spec.size + failures)
    gold, hard = max(failures, round(spec.gold * size)), round(spec.hard * size)
    return gold, hard, max(0, size - gold - hard)


def _finish(
    draft: "_Draft",
    near: Neighbourhood,
    material: Material,
    missing: dict[Role, int],
    *,
    ratio: float,
    size: int,
) -> Curriculum:
    """Balance the labels and check the controls."""
    reserve = draft.reserve()
    balanced = balance(draft.rows(), list(reserve.values()), ratio=ratio, aim=size)
    kept = set(balanced.rows)
    present = {at for at, row in (draft.taken | reserve).items() if row in kept}
    failing = [row.text for row in material.failures]
    return Curriculum(
        balanced.rows,
        material.dropped | ({CAPPED: balanced.capped} if balanced.capped else {}),
        {role: count for role, count in missing.items() if count},
        check(balanced.rows, failing, near.uncontrasted(present), ratio=ratio),
    )


class _Draft:
    """A training set while rows are taken from the pool, none of them twice."""

    def __init__(self, material: Material, seed: int, parent: str, said: Sequence[str]) -> None:
        """``said`` names what each failure was answered."""
        self._material, self._parent, self._said = material, parent, said
        self.by_label = _by_label(material, seed)
        self.taken: dict[int, TrainingRow] = {}

    def take(self, picks: Iterator[Pick], count: int) -> int:
        """Take the first ``count`` rows not taken before; how many were missing."""
        while count > 0 and (pick := next(picks, None)) is not None:
            if pick[0] not in self.taken:
                self.taken[pick[0]] = self._row(*pick)
                count -= 1
        return max(count, 0)

    def replay(self) -> Iterator[Pick]:
        """Every label once, then always one of the label that has the fewest rows so far."""
        size = Counter(row.target for row in self.rows())
        waiting = {label: iter(order) for label, order in self.by_label.items()}
        fresh = set(waiting)
        while waiting:
            label = min(fresh or waiting, key=lambda label: (size[label], label))
            at = next((at for at in waiting[label] if at not in self.taken), None)
            fresh.discard(label)
            if at is None:
                del waiting[label]
            else:
                size[label] += 1
                yield at, Role.REPLAY, self._replayed(at)

    def rows(self) -> list[TrainingRow]:
        """Failures first, then by role, in the order they were taken."""
        gold = [
            TrainingRow(
                row.id,
                row.text,
                row.target,
                Role.GOLD,
                FAILURE,
                f"failed as {said} in trace {row.id}",
            )
            for row, said in zip(self._material.failures, self._said, strict=True)
        ]
        roles = list(Role)
        return gold + sorted(self.taken.values(), key=lambda row: roles.index(row.role))

    def reserve(self) -> dict[int, TrainingRow]:
        """What is left, by position in the pool, as replay for labels that are too rare."""
        return {
            at: self._row(at, Role.REPLAY, f"{self._replayed(at)}, to balance the labels")
            for at in chain(*self.by_label.values())
            if at not in self.taken
        }

    def _row(self, at: int, role: Role, reason: str) -> TrainingRow:
        row = self._material.pool[at]
        source = PASS if at < self._material.passes else PARENT
        return TrainingRow(row.id, row.text, row.target, role, source, reason, row.rationale)

    def _replayed(self, at: int) -> str:
        of = "passing traffic" if at < self._material.passes else self._parent
        return f"replay of {of}"


def _by_label(material: Material, seed: int) -> dict[str, list[int]]:
    """Pool positions of each label, the parent's and passes by turns, surface patterns mixed."""
    pool = material.pool
    order = sorted(range(len(pool)), key=lambda at: derive_id(seed, pool[at].id, pool[at].text))
    seen: Counter[tuple[str, str]] = Counter()
    mixed: dict[tuple[str, bool], list[tuple[int, int]]] = defaultdict(list)
    for place, at in enumerate(order):
        form = pool[at].target, surface(pool[at].text)
        mixed[pool[at].target, at < material.passes].append((seen[form], place))
        seen[form] += 1
    found: dict[str, list[int]] = {}
    for label in sorted({label for label, _ in mixed}):
        parents, passes = sorted(mixed[label, False]), sorted(mixed[label, True])
        turns = chain(*zip_longest(parents, passes))
        found[label] = [order[turn[1]] for turn in turns if turn is not None]
    return found
