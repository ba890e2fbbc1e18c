"""No value of an entity more than three times, and every entity still where it says it is."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.synthesizer.domain.entity_values import DIVERSE, MOST, diversified
from shared.domain.entities import Entity, objection_to, read_answer, write_answer
from shared.domain.near_duplicates import normalise
from shared.domain.rows import Role, TrainingRow

TYPES = ("LOC", "PER")
NAMES = {"PER": ["Ada", "Alan Turing", "Grace Hopper", "Edsger"], "LOC": ["Rome", "New York"]}


def row(at: int, person: str, place: str | None = None, source: str = "pass") -> TrainingRow:
    text = f"{person} was seen on day {at}" + (f" in {place}" if place else "")
    entities = [Entity(0, len(person), "PER")]
    if place:
        entities.append(Entity(len(text) - len(place), len(text), "LOC"))
    target = write_answer(entities, text)
    return TrainingRow(f"row {at}", text, target, Role.GOLD, source, "because")


drawn = st.lists(
    st.tuples(
        st.sampled_from(NAMES["PER"]),
        st.none() | st.sampled_from(NAMES["LOC"]),
        st.sampled_from(["pass", "failure"]),
    ),
    max_size=20,
).map(lambda drawn: [row(at, *one) for at, one in enumerate(drawn)])


def used(rows: list[TrainingRow]) -> Counter[tuple[str, str]]:
    return Counter(
        (e.type, r.text[e.start : e.end].casefold()) for r in rows for e in read_answer(r.target)
    )


@given(drawn)
def test_what_is_replaced_is_still_right_and_no_value_is_overdone(rows: list[TrainingRow]) -> None:
    found = diversified(rows, evaluation_texts=[])
    assert [r.role for r in found] == [r.role for r in rows]
    for before, after in zip(rows, found, strict=True):
        assert objection_to(after.target, TYPES, after.text) is None
        types = [e.type for e in read_answer(after.target)]
        assert types == [e.type for e in read_answer(before.target)]
        assert before is after or (after.source == DIVERSE and before.source != "failure")
    before, after = used(rows), used(found)
    # A value grows only up to the limit, and one above it only shrinks.
    assert all(count <= max(MOST, before[value]) for value, count in after.items())


def test_a_worn_value_gives_way_to_others_of_its_type() -> None:
    rows = [row(at, "Ada", "Rome" if at % 2 else None) for at in range(5)]
    rows += [row(5, "Alan Turing"), row(6, "Grace Hopper")]
    found = diversified(rows, evaluation_texts=[])
    assert used(found)["PER", "ada"] == MOST
    changed = [r for r in found if r.source == DIVERSE]
    assert len(changed) == 2
    assert all(r.id != before.id for r, before in zip(changed, rows[3:5], strict=True))
    assert all("worn" in r.reason for r in changed)
    rome = next(r for r in changed if "Rome" in r.text)
    assert rome.text[read_answer(rome.target)[1].start :] == "Rome"


def test_failures_stay_as_they_are_and_count_first() -> None:
    rows = [row(at, "Ada") for at in range(2)]
    rows += [row(at, "Ada", source="failure") for at in range(2, 7)] + [row(7, "Edsger")]
    found = diversified(rows, evaluation_texts=[])
    assert found[2:] == rows[2:]
    assert [r.source for r in found[:2]] == [DIVERSE] * 2


def test_without_another_value_of_the_type_nothing_changes() -> None:
    rows = [row(at, "Ada") for at in range(6)]
    assert diversified(rows, evaluation_texts=[]) == rows


def test_no_new_text_is_near_what_is_measured_or_known() -> None:
    rows = [row(at, "Ada") for at in range(4)] + [row(9, "Edsger")]
    made = next(r for r in diversified(rows, evaluation_texts=[]) if r.source == DIVERSE)
    assert diversified(rows, evaluation_texts=[made.text]) == rows
    known = [*rows, TrainingRow("known", made.text, made.target, Role.GOLD, "failure", "")]
    texts = [normalise(r.text) for r in diversified(known, evaluation_texts=[])]
    assert len(set(texts)) == len(texts)
