"""The cold-start bench: no test row is learned, and scores are what they are called."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.coldstart import Plain, Started, goals, report
from bench.coldstart_data import SCENARIOS, load_case
from bench.zero_shot import words_of_name, zero_shot
from shared.domain.near_duplicates import NearDuplicateIndex
from shared.domain.tasks import TaskKind
from shared.errors import BadInput
from shared.jobs.base_models import MINILM


def written(folder: Path, name: str, rows: list[tuple[str, str]]) -> None:
    lines = [json.dumps({"text": text, "label": label, "domain": "x"}) for text, label in rows]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines))


WORDS = tuple(f"{a}{b}" for a in ("ta", "re", "mi", "so", "lu") for b in ("bek", "dan", "fos"))
SPAM = [(f"win {WORDS[n]} {WORDS[n + 3]} now", "spam") for n in range(10)] + [
    (f"see {WORDS[n % 15]} {WORDS[(n * 7 + n // 15 + 1) % 15]} {n}", "ham") for n in range(30)
]


def test_rows_are_cut_off_where_there_is_no_test(tmp_path: Path) -> None:
    written(tmp_path / "sms_spam", "train.jsonl", [*SPAM, (SPAM[3][0].upper() + "!", "spam")])
    case = load_case(tmp_path, "sms_spam", seed=1)
    assert len(case.rows) + len(case.test) == len(SPAM)
    assert not {row.text for row in case.rows} & {example.text for example in case.test}
    assert [json.loads(line) for line in case.lines] == [
        {"text": row.text, "label": row.target} for row in case.rows
    ]


def test_no_near_duplicate_of_the_test_is_learned(tmp_path: Path) -> None:
    said = "you have won a cash prize of {} pounds call this number now to claim it today"
    rows = [(said.format(n), "spam") for n in range(20)]
    written(tmp_path / "sms_spam", "train.jsonl", [*SPAM, *rows])
    case = load_case(tmp_path, "sms_spam", seed=1)
    near = NearDuplicateIndex(example.text for example in case.test)
    assert any(example.text.startswith("you have won") for example in case.test)
    assert not any(near.match_each([row.text for row in case.rows]))


def test_rows_of_the_test_and_of_no_label_are_left_out(tmp_path: Path) -> None:
    written(
        tmp_path / "clinc150",
        "train.jsonl",
        [("a b", "x"), ("c d", "y"), ("e f", "oos"), ("k l", "x")],
    )
    written(tmp_path / "clinc150", "test.jsonl", [("A  b", "x"), ("g h", "y"), ("i j", "oos")])
    case = load_case(tmp_path, "clinc150", seed=1)
    assert {row.text for row in case.rows} == {"c d", "k l"}
    assert [example.text for example in case.test] == ["A  b", "g h"]


def test_the_score_of_spam_is_its_f1(tmp_path: Path) -> None:
    written(tmp_path / "sms_spam", "train.jsonl", SPAM)
    written(
        tmp_path / "sms_spam",
        "test.jsonl",
        [("a", "spam"), ("b", "spam"), ("c", "ham"), ("d", "ham")],
    )
    case = load_case(tmp_path, "sms_spam", seed=1)
    assert case.chance == 0
    assert case.score(["spam", "spam", "ham", "ham"]) == 1
    assert case.score(["spam", "ham", "spam", "ham"]) == 0.5
    assert case.score(["ham"] * 4) == 0


def test_the_report_compares_with_plain_fine_tuning(tmp_path: Path) -> None:
    written(tmp_path / "sms_spam", "train.jsonl", SPAM)
    case = load_case(tmp_path, "sms_spam", seed=1, most_rows=25)
    started = Started(
        outcome="promoted",
        reason="",
        score=0.9,
        locked_score=0.8,
        target=0.85,
        baseline=0.7,
        rows=8,
        locked={},
        recipe="lora",
        iterations=1,
        candidates_seconds=5.0,
        waited_seconds=3.0,
        inference_seconds=1.0,
        run_seconds=20.0,
    )
    found = report(case, started, Plain(0.95, 10, "full", 20.0), hour_price=3.6)
    assert (found["share_of_plain"], found["part_of_plain_seconds"]) == (0.9474, 0.25)
    assert found["cost"] == {"hour_price": 3.6, "money": 0.006}
    assert "share_of_plain" not in report(case, started, None, hour_price=0.0)
    assert found["goals"] == [{"of": "F1 of spam", "at_least": 0.98, "reached": 0.9, "met": False}]
    [share, part] = goals(replace(case, scenario=SCENARIOS["wikigold"]), found)
    assert (share["at_least"], share["reached"], share["met"]) == (0.97, 0.9474, False)
    assert (part["at_most"], part["reached"], part["met"]) == (0.25, 0.25, True)
    none = goals(
        replace(case, scenario=SCENARIOS["wikigold"]), report(case, started, None, hour_price=0.0)
    )
    assert [goal["met"] for goal in none] == [False, False]


def test_intents_are_written_by_what_writes(tmp_path: Path) -> None:
    rows = [(f"play song {n}", "PlayMusic") for n in range(8)]
    written(tmp_path / "snips", "train.jsonl", [*rows, ("will it rain", "GetWeather")])
    written(tmp_path / "snips", "test.jsonl", [("play it", "PlayMusic")])
    case = load_case(tmp_path, "snips-gen", seed=1)
    assert case.task.kind is TaskKind.GENERATION
    assert case.task.labels == ("GetWeather", "PlayMusic")
    # What is right is told as at the gate: blanks around it are no other answer.
    assert case.score([" PlayMusic"]) == 1
    assert case.score(["PlayMusic it is"]) == 0


@pytest.mark.parametrize("label", ["AddToPlaylist", "add_to_playlist", "add-to playlist"])
def test_the_names_of_labels_are_read_as_words(label: str) -> None:
    assert words_of_name(label) == "add to playlist"


def test_an_untrained_model_names_no_entity(tmp_path: Path) -> None:
    tokens, tags = ["Anna", "sings"], ["B-PER", "O"]
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / "wikigold").mkdir(exist_ok=True)
        row = {"tokens": [name, *tokens], "tags": ["O", *tags]}
        (tmp_path / "wikigold" / name).write_text(json.dumps(row))
    case = load_case(tmp_path, "wikigold", seed=1)
    assert case.score(zero_shot(case, "not loaded")) == 0


def test_an_untrained_classifier_takes_the_nearest_name(tmp_path: Path) -> None:
    rows = [("refund my payment", "refund"), ("the weather in spain", "weather_forecast")]
    written(tmp_path / "snips", "train.jsonl", rows)
    asked = [("will it rain tomorrow", "weather_forecast"), ("i want my money back", "refund")]
    written(tmp_path / "snips", "test.jsonl", asked)
    case = load_case(tmp_path, "snips", seed=1)
    assert case.score(zero_shot(case, MINILM)) == 1


def test_a_missing_data_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"train\.jsonl is missing"):
        load_case(tmp_path, "snips", seed=1)
