"""What commands say to input they cannot take: one sentence, no stack trace."""

import json
from pathlib import Path

import pytest

from shared.cli import main


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIONEER_HOME", str(tmp_path / "home"))
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": "nowhere:9092",
        "MONGODB_URI": "mongodb://nowhere",
        "RAY_ADDRESS": "http://nowhere:8265",
        "ARTIFACTS_URI": (tmp_path / "store").as_uri(),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    entry = {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 0]}
    header = json.dumps({"classifier.weight": entry}).encode()
    weights = len(header).to_bytes(8, "little") + header
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text('{"id2label": {"0": "billing", "1": "delivery"}}')
    (folder / "tokenizer.json").write_text("{}")
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def register(checkpoint: Path, name: str = "desk", /, **options: object) -> list[str]:
    given = {"adapter": checkpoint, "base-model": "minilm", **options}
    flags = [part for key, value in given.items() for part in (f"--{key}", str(value))]
    return ["models", "register", name, *flags]


def test_a_name_or_address_that_cannot_be_is_refused_in_words(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "model 'my desk': use letters, digits" in said(capsys, *register(checkpoint, "my desk"))
    assert "endpoint 'desk': give a URL" in said(capsys, *register(checkpoint, endpoint="desk"))
    assert "model 'my desk': use letters, digits" in said(capsys, "improve", "my desk")
    assert "to_version 0: " in said(capsys, "rollback", "desk", "--to", "0")


def test_a_data_set_that_cannot_be_used_is_refused_before_anything_is_sent(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.jsonl"
    asked = register(checkpoint, "desk", **{"training-set": missing})
    assert "missing.jsonl: No such file or directory" in said(capsys, *asked)
    twice = tmp_path / "twice.jsonl"
    twice.write_text('{"text": "a", "label": "billing"}\n{"text": "a", "label": "delivery"}')
    asked = register(checkpoint, "desk", **{"training-set": twice})
    assert "twice.jsonl:1 and " in said(capsys, *asked)
    assert "the same text 'a' is answered" in said(
        capsys, *register(checkpoint, "desk", **{"evaluation-set": twice})
    )
