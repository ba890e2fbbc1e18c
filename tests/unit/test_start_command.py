"""``pioneer start``: where rows are, and what is refused before anything is asked."""

from pathlib import Path

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.cli.task_files import declared_task, located, surveyed
from shared.domain.answer_form import Extractor, Scorer
from shared.errors import BadInput

ROW = '{"text": "one", "label": "a"}\n'


@pytest.fixture
def artifacts(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts((tmp_path / "store").as_uri())


def test_a_file_is_stored_as_it_is(tmp_path: Path, artifacts: FsspecArtifacts) -> None:
    (tmp_path / "mail.jsonl").write_text(ROW)
    rows, test, data_set = located(artifacts, str(tmp_path / "mail.jsonl"))
    assert rows is not None
    assert artifacts.get(rows) == ROW.encode()
    assert rows.uri.endswith("mail.jsonl")
    assert (test, data_set) == (None, None)


def test_a_folder_has_a_train_and_perhaps_a_test_part(
    tmp_path: Path, artifacts: FsspecArtifacts
) -> None:
    (tmp_path / "train.jsonl").write_text(ROW)
    assert located(artifacts, str(tmp_path))[1] is None
    (tmp_path / "test.jsonl").write_text(ROW)
    test = located(artifacts, str(tmp_path))[1]
    assert test is not None
    assert artifacts.get(test) == ROW.encode()


def test_a_name_is_left_to_the_services(artifacts: FsspecArtifacts) -> None:
    assert located(artifacts, "ucirvine/sms_spam") == (None, None, "ucirvine/sms_spam")
    assert located(artifacts, "owner/set:sample-10BT") == (None, None, "owner/set:sample-10BT")
    assert located(artifacts, "clinc150") == (None, None, "clinc150")
    assert located(artifacts, None) == (None, None, None)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("./missing.jsonl", "neither a file nor a folder"),
        ("missing.jsonl", "neither a file nor a folder"),
        ("a/b/c", "neither a file nor a folder"),
        ("a/b:", "neither a file nor a folder"),
        ("a:b/c", "neither a file nor a folder"),
    ],
)
def test_what_is_nowhere_is_said(data: str, sentence: str, artifacts: FsspecArtifacts) -> None:
    with pytest.raises(BadInput, match=sentence):
        located(artifacts, data)


def test_a_bad_row_or_folder_is_named_at_once(tmp_path: Path, artifacts: FsspecArtifacts) -> None:
    with pytest.raises(BadInput, match=r"has no train\.jsonl"):
        located(artifacts, str(tmp_path))
    (tmp_path / "train.jsonl").write_text(ROW + '{"text": "two"}\n')
    with pytest.raises(BadInput, match=r"train\.jsonl:2 has no 'label'"):
        located(artifacts, str(tmp_path))


def test_what_is_written_is_declared_beside_its_rows_or_by_a_file(tmp_path: Path) -> None:
    assert declared_task(None, None) is None
    assert declared_task(None, str(tmp_path)) is None
    (tmp_path / "task.json").write_text('{"labels": ["A", "B"], "form": {"extractor": "letter"}}')
    beside = declared_task(None, str(tmp_path))
    assert beside is not None
    assert beside.labels == ("A", "B")
    assert beside.form is not None
    assert beside.form.extractor is Extractor.LETTER
    (tmp_path / "other.json").write_text('{"form": {"scorer": "rouge2"}}')
    named = declared_task(tmp_path / "other.json", str(tmp_path))
    assert named is not None
    assert named.form is not None
    assert named.form.scorer is Scorer.ROUGE_2


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("[]", "is no JSON object"),
        ("{", "is no JSON object"),
        ('{"form": {"scorer": "taste"}}', r"task\.json: form\.scorer"),
        ('{"shape": {}}', "'shape' is nothing that can be said there"),
    ],
)
def test_a_form_that_says_nothing_is_named(said: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text(said)
    with pytest.raises(BadInput, match=sentence):
        declared_task(None, str(tmp_path))


def test_a_form_that_is_nowhere_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.json: No such file"):
        declared_task(tmp_path / "gone.json", None)


def test_written_answers_are_stored_and_read_at_once(
    tmp_path: Path, artifacts: FsspecArtifacts
) -> None:
    (tmp_path / "asked.jsonl").write_text('{"prompt": "2 + 3", "answer": "5"}\n')
    assert located(artifacts, str(tmp_path / "asked.jsonl"))[0] is not None
    (tmp_path / "asked.jsonl").write_text('{"prompt": "2 + 3", "answer": 5}\n')
    with pytest.raises(BadInput, match=r"asked\.jsonl:1: answer 5 is no text"):
        located(artifacts, str(tmp_path / "asked.jsonl"))


SURVEY = '[{"name": "BERT", "measure": "accuracy", "score": 0.9}]'


def test_a_survey_is_given_or_lies_beside_the_rows(tmp_path: Path) -> None:
    assert surveyed(None, None) == surveyed(None, str(tmp_path)) == surveyed(None, "a/b") == ()
    (tmp_path / "survey.json").write_text(SURVEY)
    assert [one.name for one in surveyed(None, str(tmp_path))] == ["BERT"]
    other = tmp_path / "other.jsonl"
    other.write_text(SURVEY.replace("BERT", "ours"))
    assert [one.name for one in surveyed(other, str(tmp_path))] == ["ours"]


def test_a_survey_that_is_nowhere_or_says_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.json: No such file"):
        surveyed(tmp_path / "gone.json", None)
    (tmp_path / "survey.json").write_text(SURVEY.replace("0.9", "90"))
    with pytest.raises(BadInput, match=r"survey\.json, entry 1: score 90: give a share"):
        surveyed(None, str(tmp_path))
