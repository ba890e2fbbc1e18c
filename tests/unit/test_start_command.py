"""``pioneer start``: where rows are, and what is refused before anything is asked."""

from pathlib import Path

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.cli.start import located
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
    assert located(artifacts, None) == (None, None, None)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("./missing.jsonl", "neither a file nor a folder"),
        ("missing.jsonl", "neither a file nor a folder"),
        ("a/b/c", "neither a file nor a folder"),
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
