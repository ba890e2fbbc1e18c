"""Rows that a chat model writes for a task without any: what of its word is taken."""

import pytest

from services.synthesizer.domain.answer_seeds import (
    AnswersAnswer,
    AnswerSeeds,
    GivenAnswer,
    GivenAnswers,
    WrittenAnswer,
)
from services.synthesizer.domain.entity_seeds import (
    EntitySeeds,
    ReadText,
    ReadTexts,
    TextsAnswer,
    WrittenEntity,
    WrittenText,
    answer_of,
)
from services.synthesizer.domain.label_seeds import (
    LabelSeeds,
    ReadAnswer,
    ReadLabel,
    SeedsAnswer,
)
from services.synthesizer.domain.seeds import Seeds, SeedWriter, confirmed, grown, well_formed
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.entities import read_answer
from shared.domain.tasks import TaskKind
from shared.domain.written import WrittenRow
from shared.errors import BadInput
from shared.tasks.ner import NOTHING

LABELS = LabelSeeds("sort mail", ("a", "b"))
ENTITIES = EntitySeeds("find people and places", ("LOC", "PER"))
SUMS = AnswerSeeds("solve sums", AnswerForm(extractor=Extractor.NUMBER, answer_tokens=4))
NONE_YET = Seeds({"a": (), "b": ()}, {})


def labelled(*texts: str, label: str = "a") -> SeedsAnswer:
    return SeedsAnswer(rows=tuple(WrittenRow(text=text, label=label) for text in texts))


def named(*entities: tuple[str, str]) -> tuple[WrittenEntity, ...]:
    return tuple(WrittenEntity(type=kind, words=words) for kind, words in entities)


def test_a_label_is_learned_only_when_it_is_read_again() -> None:
    said = labelled("where is it", "where is it?", "gone for good")
    rows, refused = well_formed(LABELS, "a", said, NONE_YET)
    assert [row.text for row in rows] == ["where is it", "gone for good"]
    assert sum(refused.values()) == 1
    read = ReadAnswer(read=(ReadLabel(label="a"), ReadLabel(label="b")))
    kept, lost = confirmed(LABELS, rows, read)
    assert [row.text for row in kept] == ["where is it"]
    assert list(lost.values()) == [1]
    assert confirmed(LABELS, rows, None)[0] == ()
    assert confirmed(LABELS, rows, ReadAnswer(read=(ReadLabel(label="a"),)))[0] == ()


def test_no_text_is_of_two_sorts() -> None:
    [row], _ = well_formed(LABELS, "a", labelled("where is it"), NONE_YET)
    [other], _ = well_formed(LABELS, "b", labelled("where is it", label="b"), NONE_YET)
    seeds = grown(grown(NONE_YET, "a", [row], ()), "b", [other], ())
    assert seeds.missing(1) == {"b": 1}
    [placed] = seeds.placed(LABELS)
    assert (placed.target, placed.labels, placed.place) == ("a", ("a",), "written a:1")


@pytest.mark.parametrize("writer", [LABELS, ENTITIES, SUMS])
def test_another_turn_is_another_question(writer: SeedWriter) -> None:
    sort = writer.sorts[0]
    asked = [writer.question(sort, (), count=4, turn=turn) for turn in (0, 1)]
    assert asked[0].id != asked[1].id


def test_a_label_may_be_a_written_answer() -> None:
    writer = LabelSeeds("name the desk", ("a", "b"), TaskKind.GENERATION)
    [row], _ = well_formed(writer, "a", labelled("where is it"), NONE_YET)
    placed = writer.placed(row, "written a:1")
    assert (placed.target, placed.labels) == ("a", ())


def test_an_entity_is_named_wherever_its_words_stand_alone() -> None:
    text = "Ann and Annabel of New York met Ann in York, near Yorkshire"
    given = named(("PER", "Ann"), ("LOC", "York"), ("LOC", "New York"), ("PER", "Annabel"))
    answer = answer_of(text, given)
    assert answer is not None
    spans = [(text[e.start : e.end], e.type) for e in read_answer(answer)]
    assert spans == [
        ("Ann", "PER"),
        ("Annabel", "PER"),
        ("New York", "LOC"),
        ("Ann", "PER"),
        ("York", "LOC"),
    ]
    assert answer_of(text, named(("PER", "Bert"))) is None
    assert answer_of(text, named(("PER", ""))) is None
    assert answer_of(text, ()) == "[]"


def test_a_text_counts_as_what_its_first_entity_is() -> None:
    seeds = Seeds(dict.fromkeys(ENTITIES.sorts, ()), {})
    said = TextsAnswer(
        rows=(
            WrittenText(text="Rome was not built", entities=named(("LOC", "Rome"))),
            WrittenText(text="Ada saw Oslo once", entities=named(("LOC", "Oslo"), ("PER", "Ada"))),
            WrittenText(text="nobody at all", entities=named(("LOC", "Paris"))),
            WrittenText(text="it rained for days", entities=()),
        )
    )
    rows, refused = well_formed(ENTITIES, "LOC", said, seeds)
    assert [row.text for row in rows] == ["Rome was not built"]
    assert sum(refused.values()) == 3
    rows, _ = well_formed(ENTITIES, NOTHING, said, seeds)
    assert [(row.text, row.target) for row in rows] == [("it rained for days", "[]")]


def test_entities_are_learned_only_when_all_of_them_are_read_again() -> None:
    seeds = Seeds(dict.fromkeys(ENTITIES.sorts, ()), {})
    both = named(("PER", "Ada"), ("LOC", "Oslo"))
    said = TextsAnswer(
        rows=(
            WrittenText(text="Ada saw Oslo once", entities=both),
            WrittenText(text="Ada came home from Oslo late", entities=both),
        )
    )
    rows, _ = well_formed(ENTITIES, "PER", said, seeds)
    reading = (ReadText(entities=both[::-1]), ReadText(entities=both[:1]))
    kept, lost = confirmed(ENTITIES, rows, ReadTexts(read=reading))
    assert [row.text for row in kept] == ["Ada saw Oslo once"]
    assert sum(lost.values()) == 1
    placed = ENTITIES.placed(kept[0], "written PER:1")
    assert placed.labels == ("LOC", "PER")


def test_an_answer_is_learned_only_when_it_is_given_again() -> None:
    sort = SUMS.sorts[0]
    pairs = (("add two and three", "5"), ("take one from nine", "7"), ("double it", "no idea"))
    said = AnswersAnswer(rows=tuple(WrittenAnswer(request=r, answer=a) for r, a in pairs))
    rows, refused = well_formed(SUMS, sort, said, Seeds({sort: ()}, {}))
    assert [row.target for row in rows] == ["5", "7"]
    assert sum(refused.values()) == 1
    again = GivenAnswers(read=(GivenAnswer(answer="That is 5"), GivenAnswer(answer="8")))
    kept, lost = confirmed(SUMS, rows, again)
    assert [row.text for row in kept] == ["add two and three"]
    assert sum(lost.values()) == 1
    assert SUMS.placed(kept[0], "place").target == "5"


@pytest.mark.parametrize(
    "form", [AnswerForm(Scorer.JUDGE), AnswerForm(Scorer.PASSES, Extractor.CODE)]
)
def test_answers_that_comparing_cannot_confirm_are_not_asked_for(form: AnswerForm) -> None:
    with pytest.raises(BadInput, match="give rows with --data"):
        AnswerSeeds("answer letters", form)
