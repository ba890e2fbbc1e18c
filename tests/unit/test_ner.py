"""What is right, wrong and common among answers that name entities."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bio import bio_tags, entities_of, from_tokens, repaired
from shared.domain.entities import Entity, write_answer
from shared.domain.entity_errors import EntityError, Fault, entity_errors, entity_scores
from shared.domain.tasks import UNREADABLE, Task, TaskKind
from shared.tasks import behaviour
from shared.tasks.ner import EMPTY, NOTHING, scores

TASK = Task(TaskKind.NER, ("LOC", "ORG", "PER"))
NER = behaviour(TASK)
TEXT = "Ada Lovelace lived in London"
ADA, LONDON = Entity(0, 12, "PER"), Entity(22, 28, "LOC")
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def said(*entities: Entity) -> str:
    return write_answer(entities, TEXT)


def test_one_type_is_a_task_and_none_is_not() -> None:
    assert Task(TaskKind.NER, ("Disease",)).labels == ("Disease",)
    with pytest.raises(ValueError, match="at least one label"):
        Task(TaskKind.NER, ())
    with pytest.raises(ValueError, match="at least two distinct labels"):
        Task(TaskKind.CLASSIFICATION, ("spam",))


def test_the_order_and_form_of_an_answer_do_not_matter() -> None:
    by_hand = '[{"start": 22, "end": 28, "type": "LOC"}, {"start": 0, "end": 12, "type": "PER"}]'
    assert NER.is_right(by_hand, said(ADA, LONDON))
    assert NER.canonical(by_hand, TEXT) == said(ADA, LONDON)
    assert not NER.is_right(said(ADA), said(ADA, LONDON))
    assert not NER.is_right("London", "London")


def test_an_answer_is_objected_to_with_and_without_its_text() -> None:
    behind = '[{"start": 22, "end": 30, "type": "LOC"}]'
    assert NER.objection(behind, TASK) is None
    assert "behind the text" in (NER.objection(behind, TASK, TEXT) or "")
    assert "not one of the 3" in (NER.objection(said(Entity(0, 3, "TIME")), TASK) or "")


@pytest.mark.parametrize(
    ("found", "right", "named", "misses", "lesson"),
    [
        ([LONDON], [], (NOTHING, f"LOC, {EMPTY}"), False, ("LOC", NOTHING)),
        ([ADA, LONDON], [ADA], (NOTHING, "LOC"), False, ("LOC", NOTHING)),
        ([ADA], [ADA, LONDON], ("LOC", NOTHING), True, ("LOC", NOTHING)),
        ([Entity(22, 28, "ORG")], [LONDON], ("LOC", "ORG"), False, ("LOC", "ORG")),
        ([Entity(0, 3, "PER")], [ADA], ("PER", "PER, another boundary"), False, ("PER", NOTHING)),
        ([Entity(0, 3, "ORG")], [ADA], ("PER", "ORG"), False, ("PER", "ORG")),
    ],
    ids=["hallucinated", "spurious", "missed", "type", "boundary", "both"],
)
def test_failures_are_named_by_their_error(
    found: list[Entity],
    right: list[Entity],
    named: tuple[str, str],
    misses: bool,
    lesson: tuple[str, str],
) -> None:
    output, target = said(*found), said(*right)
    assert NER.confusion(output, target) == named
    assert NER.misses(*named) is misses
    assert NER.lesson(output, target) == lesson


def test_what_cannot_be_read_is_an_error_of_its_own() -> None:
    assert NER.confusion("PER", said(ADA)) == ("PER", UNREADABLE)
    assert NER.lesson("PER", said(ADA)) == ("PER", NOTHING)


def test_a_row_is_named_by_what_is_wrong_most_often() -> None:
    right = [Entity(0, 3, "PER"), Entity(4, 12, "PER"), LONDON]
    found = [Entity(13, 18, "ORG"), Entity(19, 21, "LOC")]
    assert NER.confusion(said(*found), said(*right)) == ("PER", NOTHING)


def test_every_error_is_told_once() -> None:
    found = [Entity(0, 3, "PER"), Entity(13, 18, "ORG")]
    assert entity_errors(found, [ADA, LONDON]) == [
        EntityError(Fault.WRONG_BOUNDARY, "PER", "PER"),
        EntityError(Fault.SPURIOUS, None, "ORG"),
        EntityError(Fault.MISSED, "LOC", None),
    ]
    assert entity_errors([ADA], [ADA]) == []


def test_an_unreadable_output_names_nothing() -> None:
    found = scores([("?", said(ADA)), (said(LONDON), said(LONDON)), ("[]", "[]")])
    assert (found.overall.precision, found.overall.recall) == (1.0, 0.5)
    assert found.of_type["PER"].f1 == 0.0
    assert entity_scores([]).overall.f1 == 0.0


tag = st.sampled_from(bio_tags(TASK.labels))
columns = st.lists(st.tuples(tag, tag), min_size=1, max_size=15)


@given(st.lists(columns, min_size=1, max_size=6))
def test_scores_are_those_of_seqeval(sentences: list[list[tuple[str, str]]]) -> None:
    found = [list(repaired([one for one, _ in rows])) for rows in sentences]
    right = [list(repaired([other for _, other in rows])) for rows in sentences]
    same_as_seqeval(found, right)


@pytest.mark.parametrize("name", ["wikigold", "wnut17", "ncbi_disease"])
def test_scores_are_those_of_seqeval_on_real_rows(name: str) -> None:
    file = DATA / name / "train.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not here: public data sets lie beside the project")
    rows = [json.loads(line) for line in file.read_text().splitlines()[:400]]
    for number, row in enumerate(rows, 1):
        from_tokens(row["tokens"], row["tags"], row=f"{name}:{number}")
    right = [row["tags"] for row in rows]
    # Each sentence read with the tags of the one before, cut or filled: errors of all kinds.
    found = [
        list(repaired((before + ["O"] * len(tags))[: len(tags)]))
        for before, tags in zip([right[-1], *right[:-1]], right, strict=True)
    ]
    same_as_seqeval(found, right)


def same_as_seqeval(found: Sequence[list[str]], right: Sequence[list[str]]) -> None:
    reference = pytest.importorskip("seqeval.metrics", reason="the dev extra is not installed")
    pairs = [(entities(one), entities(other)) for one, other in zip(found, right, strict=True)]
    ours = entity_scores(pairs)
    if not any(tag != "O" for tags in (*found, *right) for tag in tags):
        assert ours.overall.right == ours.overall.found == 0
        return
    theirs = reference.classification_report(right, found, output_dict=True, zero_division=0)
    expected = {name: one for name, one in theirs.items() if " avg" not in name}
    assert expected.keys() == ours.of_type.keys()
    for name, hits in {"micro avg": ours.overall, **ours.of_type}.items():
        told = (hits.precision, hits.recall, hits.f1)
        wanted = tuple(theirs[name][key] for key in ("precision", "recall", "f1-score"))
        assert told == pytest.approx(wanted)


def entities(tags: list[str]) -> tuple[Entity, ...]:
    return entities_of(tags, [(2 * at, 2 * at + 1) for at in range(len(tags))])
