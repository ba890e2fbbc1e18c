"""The threshold at which most of the traffic is right."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain.threshold import THRESHOLDS, best_threshold, outputs_at
from shared.domain.entities import Entity, SeenEntity, write_answer
from shared.domain.rows import EvalPart, EvalRow
from shared.domain.tasks import Task, TaskKind
from shared.tasks import behaviour
from tests.unit.floats import floats

IS_RIGHT = behaviour(Task(TaskKind.NER, ("PER",))).is_right
TEXT = "Ada met Alan"
ADA, ALAN = Entity(0, 3, "PER"), Entity(8, 12, "PER")


def row(id_: str, *right: Entity, weight: float = 0.0, failed: bool = True) -> EvalRow:
    part = EvalPart.HELDOUT if failed else EvalPart.REGRESSION
    return EvalRow(id_, TEXT, write_answer(right, TEXT), part, not failed, weight)


def seen(ada: float, alan: float) -> list[SeenEntity]:
    return [SeenEntity(ADA, ada), SeenEntity(ALAN, alan)]


def test_what_is_at_least_so_probable_is_named() -> None:
    found = outputs_at({"a": seen(0.9, 0.5)}, [row("a"), row("b")], 0.9)
    assert found == {"a": write_answer([ADA], TEXT), "b": "[]"}


def test_a_model_that_names_too_much_is_asked_for_more_certainty() -> None:
    rows = [row("a", ADA), row("b"), row("c", ADA, ALAN, failed=False)]
    said = {"a": seen(0.97, 0.75), "b": seen(0.6, 0.4), "c": seen(0.99, 0.99)}
    assert best_threshold(said, rows, is_right=IS_RIGHT) == 0.8


def test_a_pass_that_stands_for_much_traffic_is_not_given_up_for_a_failure() -> None:
    rows = [row("a", ADA, weight=1.0), row("b", ADA, ALAN, weight=5.0, failed=False)]
    said = {"a": seen(0.97, 0.75), "b": seen(0.97, 0.7)}
    assert best_threshold(said, rows, is_right=IS_RIGHT) == 0.0
    equal = [replace(one, weight=0.0) for one in rows]
    assert best_threshold(said, equal, is_right=IS_RIGHT) == 0.0
    rare = [rows[0], replace(rows[1], weight=0.1)]
    assert best_threshold(said, rare, is_right=IS_RIGHT) == 0.8


def test_what_the_gate_keeps_goes_before_what_is_right_more_often() -> None:
    rows = [row("a", ADA), row("b", ADA, failed=False)]
    said = {"a": seen(0.97, 0.75), "b": seen(0.6, 0.4)}
    assert best_threshold(said, rows, is_right=IS_RIGHT) == 0.5
    assert best_threshold(said, rows, is_right=IS_RIGHT, keeps=lambda t: t > 0.9) == 0.95
    # Where it keeps none, the best one says most.
    assert best_threshold(said, rows, is_right=IS_RIGHT, keeps=lambda _: False) == 0.5


@given(st.lists(st.tuples(floats(0, 1), floats(0, 1), st.integers(0, 3)), max_size=8))
def test_no_other_threshold_is_right_more_often(drawn: list[tuple[float, float, int]]) -> None:
    options: list[list[Entity]] = [[], [ADA], [ALAN], [ADA, ALAN]]
    rows = [row(str(at), *options[right]) for at, (_, _, right) in enumerate(drawn)]
    said = {str(at): seen(ada, alan) for at, (ada, alan, _) in enumerate(drawn)}

    def right(threshold: float) -> int:
        outputs = outputs_at(said, rows, threshold)
        return sum(outputs[one.id] == one.target for one in rows)

    best = best_threshold(said, rows, is_right=IS_RIGHT)
    assert right(best) == max(map(right, THRESHOLDS))
    assert not any(right(t) == right(best) for t in THRESHOLDS if t < best)


def test_without_rows_nothing_is_left_out() -> None:
    assert best_threshold({}, [], is_right=IS_RIGHT) == 0.0
