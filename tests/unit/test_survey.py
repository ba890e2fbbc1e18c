"""What others reached: how it is written down, and the target that follows from it."""

import json

import pytest
from hypothesis import given

from services.synthesizer.domain.survey import Target, check_measures, target_from, target_of
from shared.domain.survey import Measure, Surveyed, read_survey
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput
from tests.unit.floats import floats

BERT = {"name": "BERT-base, 2020", "measure": "accuracy", "score": 0.937}
OURS = {"name": "our rules", "measure": "Exact_Match", "score": 0.8, "source": "wiki"}
ENTRIES = (
    Surveyed(name="BERT-base, 2020", measure=Measure.ACCURACY, score=0.937),
    Surveyed(name="our rules", measure=Measure.EXACT_MATCH, score=0.8),
)


def lines(*told: object) -> bytes:
    return "\n\n".join(map(json.dumps, told)).encode()


@pytest.mark.parametrize("data", [json.dumps([BERT, OURS], indent=1).encode(), lines(BERT, OURS)])
def test_a_survey_is_a_list_or_lines(data: bytes) -> None:
    assert read_survey(data, name="survey.json") == ENTRIES


def test_one_entry_needs_no_list() -> None:
    assert read_survey(json.dumps(BERT, indent=1).encode(), name="x") == ENTRIES[:1]
    assert read_survey(b'{"name": "x", "measure": "F1", "score": 1}', name="x")[0].score == 1.0


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "survey.json has 0 entries: write 1 to 1000, each as {"),
        (b"[]", "survey.json has 0 entries: write 1 to 1000"),
        (lines(*[BERT] * 1001), "survey.json has 1001 entries: write 1 to 1000"),
        (lines(BERT) + b"\nBERT: 93.7", "survey.json:2 is no JSON"),
        ("[é]".encode("latin-1"), "survey.json:1 is no JSON"),
        (b"[0.9]", "survey.json, entry 1 is no JSON object"),
        (lines(BERT, [BERT]), "survey.json:3 is no JSON object"),
        (lines(BERT, BERT | {"score": 93.7}), "survey.json:3: score 93.7: give a share above 0"),
        (lines(BERT | {"score": 0}), "survey.json, entry 1: score 0: give a share above 0"),
        (lines(BERT | {"score": float("nan")}), "survey.json, entry 1: score nan: give a share"),
        (lines(BERT | {"score": "0.9"}), "survey.json, entry 1: score '0.9': give a share"),
        (
            json.dumps([BERT, BERT | {"measure": "BLEU"}]).encode(),
            "survey.json, entry 2: measure 'BLEU': give one of accuracy, exact match, f1: the "
            "target is a share of right answers",
        ),
        (lines(BERT | {"name": " "}), "survey.json, entry 1: name ' ': name who reached it"),
        (b'{"name": "x", "score": 1}', "survey.json, entry 1: measure is missing: give one of"),
    ],
)
def test_what_is_no_survey_is_said_with_place_and_remedy(data: bytes, sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_survey(data, name="survey.json")
    assert str(refused.value).startswith(sentence)


def test_the_best_that_others_reached_is_the_target() -> None:
    said = Target(0.937, "the survey: BERT-base, 2020, accuracy 0.937")
    assert target_of(0.5, asked=None, survey=ENTRIES) == said
    assert target_of(0.5, asked=None, survey=ENTRIES[::-1]) == said


def test_a_target_that_is_asked_for_goes_first_and_the_data_last() -> None:
    assert target_of(0.5, asked=1.0, survey=ENTRIES) == Target(1.0, "--target")
    assert target_of(0.5, asked=None, survey=()) == Target(0.95, "the data")


@given(floats(0, 1), floats(1e-9, 1))
def test_a_target_is_never_above_what_a_locked_set_can_tell(baseline: float, score: float) -> None:
    survey = [ENTRIES[0].model_copy(update={"score": score})]
    found = target_of(baseline, asked=None, survey=survey).share
    assert 0 < found <= 0.99
    assert found <= score
    assert target_from(baseline) <= 0.99


def test_a_score_of_parts_of_answers_is_no_target_of_whole_ones() -> None:
    check_measures(ENTRIES, Task(TaskKind.CLASSIFICATION, ("a", "b")))
    check_measures(ENTRIES[1:], Task(TaskKind.NER, ("LOC",)))
    with pytest.raises(BadInput, match=r"'BERT-base, 2020' has accuracy 0.937.*exact match"):
        check_measures(ENTRIES, Task(TaskKind.NER, ("LOC",)))
