"""The training set of a model's first version: D = gold ∪ hard, of what was acquired (§2.3, §2.5).

Nothing has failed yet, so hard rows are those that look like another answer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from services.synthesizer.domain.boundary import boundary_of
from services.synthesizer.domain.controls import balance, check, leaks, surface
from services.synthesizer.domain.curriculum import CAPPED, Curriculum
from services.synthesizer.domain.exam import LEAK
from shared.domain.ids import derive_id
from shared.domain.pipeline import DataSpec
from shared.domain.rows import Role, Row, TrainingRow

ACQUIRED = "acquired"
# Beyond so many rows the hard ones are looked for in a sample.
_MOST_COMPARED = 6_000


def compose_first(
    rows: Sequence[Row],
    spec: DataSpec,
    *,
    sort: Callable[[str], str],
    evaluation_texts: Iterable[str],
    source: str = ACQUIRED,
) -> Curriculum:
    """A training set of about ``spec.size`` rows, the same for equal rows in any order.

    Gold and hard rows in the proportion of the spec, ``spec.surgical`` more hard ones for each
    answer's sort; all rows where there are no more. Labels are balanced last.
    """
    measured = leaks(rows, evaluation_texts)
    ordered = sorted(
        (row for row, leak in zip(rows, measured, strict=True) if not leak),
        key=lambda row: derive_id(spec.seed, row.id, row.text),
    )
    named = [_Named(row, sort(row.target)) for row in ordered]
    # Few rows are all taken: the share of hard ones is that of what there is.
    size = min(spec.size, len(named))
    # Free answers are all of one sort: nothing looks like another.
    several = len({one.sort for one in named}) > 1
    share = round(spec.hard / (spec.gold + spec.hard) * size) if spec.hard and several else 0
    hard = _hard(named, share, surgical=spec.surgical) if several else []
    taken = {one.row.id for one in hard}
    plain = _mixed([one for one in named if one.row.id not in taken])
    wanted = size - share
    made = [one.learned(Role.GOLD, source) for one in plain]
    made, reserve = made[:wanted], made[wanted:]
    made += [one.learned(Role.HARD, source) for one in hard]
    aim = spec.size + spec.surgical * len({one.sort for one in named})
    balanced = balance(made, reserve, ratio=spec.max_label_ratio, aim=aim)
    dropped = {LEAK: sum(measured), CAPPED: balanced.capped}
    answers = {one.row.id: one.row.target for one in named}
    return Curriculum(
        rows=tuple(replace(row, target=answers[row.id]) for row in balanced.rows),
        dropped={reason: count for reason, count in dropped.items() if count},
        shortfall={Role.GOLD: missing} if (missing := spec.size - size) else {},
        checks=check(balanced.rows, (), (), ratio=spec.max_label_ratio),
    )


@dataclass(frozen=True, slots=True)
class _Named:
    """A row with the name that its answers are balanced by."""

    row: Row
    sort: str

    def learned(self, role: Role, source: str) -> TrainingRow:
        what = "looks like another answer" if role is Role.HARD else "an ordinary row"
        return TrainingRow(
            self.row.id,
            self.row.text,
            self.sort,
            role,
            source,
            f"{what} of {self.sort!r}",
            self.row.rationale,
            self.row.place,
        )


def _hard(named: Sequence[_Named], count: int, *, surgical: int) -> list[_Named]:
    """The hardest rows, sorts in turn, then ``surgical`` more of each sort."""
    some = named[:_MOST_COMPARED]
    near = boundary_of([one.row.text for one in some], [one.sort for one in some])
    hardness = near.hardness.round(5).tolist()
    order = sorted(range(len(some)), key=lambda at: -hardness[at])
    of_sort: dict[str, list[_Named]] = defaultdict(list)
    for at in order:
        of_sort[some[at].sort].append(some[at])
    in_turn = list(_in_turn(of_sort.values()))
    found = in_turn[:count]
    used = Counter(one.sort for one in found)
    for sort, ones in of_sort.items():
        found += ones[used[sort] : used[sort] + surgical]
    return found


def _mixed(named: Sequence[_Named]) -> list[_Named]:
    """Sorts in turn, and within each its surface patterns in turn."""
    of_form: dict[str, dict[str, list[_Named]]] = defaultdict(lambda: defaultdict(list))
    for one in named:
        of_form[one.sort][surface(one.row.text)].append(one)
    return list(_in_turn([list(_in_turn(forms.values())) for forms in of_form.values()]))


def _in_turn(orders: Iterable[Sequence[_Named]]) -> Iterator[_Named]:
    for turn in zip_longest(*orders):
        yield from (one for one in turn if one is not None)
