"""``pioneer models export``: weights for other servers."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.cli import exporting, main
from shared.domain.artifacts import ArtifactRef
from shared.ports import JobFailed
from tests.fakes.compute import InMemoryCompute
from tests.fakes.documents import InMemoryDocuments

TOLD = {"format": 1, "base_model": "owner/base", "method": "lora"}
WRITES = {"kind": "generation", "labels": [], "form": {"chat_template": "plain"}}


def weights(**told: object) -> dict[str, bytes]:
    described = {**TOLD, "task": WRITES, **told}
    return {
        "adapter.json": json.dumps(described).encode(),
        "adapter_config.json": b'{"r": 16, "base_model_name_or_path": "/cache/of/a/worker"}',
        "adapter_model.safetensors": b"low rank",
    }


@pytest.fixture
def artifacts(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts((tmp_path / "store").as_uri())


@pytest.fixture
def compute(artifacts: FsspecArtifacts) -> InMemoryCompute:
    return InMemoryCompute(artifacts)


@pytest.fixture(autouse=True)
def house(
    monkeypatch: pytest.MonkeyPatch, artifacts: FsspecArtifacts, compute: InMemoryCompute
) -> list[ArtifactRef]:
    """Two versions of a desk; the first, of whole weights, is in production."""
    whole = artifacts.put_folder({**weights(method="full"), "config.json": b"{}"}, name="whole")
    found = [whole, artifacts.put_folder(weights(), name="adapter")]
    versions = [
        {"number": at, "adapter": {"uri": ref.uri, "sha256": ref.sha256}}
        for at, ref in enumerate(found, 1)
    ]
    state = {"versions": versions, "deployments": [{"version": 2}, {"version": 1}]}
    store = InMemoryDocuments()
    store.collections["models"]["desk"] = {"_id": "desk", "state": state}

    @asynccontextmanager
    async def reading() -> AsyncGenerator[InMemoryDocuments]:
        yield store

    @asynccontextmanager
    async def connected() -> AsyncGenerator[InMemoryCompute]:
        yield compute

    monkeypatch.setattr(exporting, "reading", reading)
    monkeypatch.setattr(exporting, "computing", connected)
    monkeypatch.setattr(exporting, "POLL_SECONDS", 0)
    monkeypatch.setenv("ARTIFACTS_URI", artifacts.uri)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI"):
        monkeypatch.setenv(name, "nowhere:1")
    monkeypatch.setenv("RAY_ADDRESS", "http://nowhere:8265")
    return found


def ask(*arguments: object) -> None:
    try:
        main(["models", "export", "desk", *map(str, arguments)])
    except SystemExit as ended:
        assert not ended.code


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["models", "export", *map(str, arguments)])
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_an_adapter_names_its_base_and_its_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("--version", 2, "--to", tmp_path / "out" / "two")
    found = {file.name: file.read_bytes() for file in (tmp_path / "out" / "two").iterdir()}
    config = json.loads(found.pop("adapter_config.json"))
    assert config == {"r": 16, "base_model_name_or_path": "owner/base"}
    assert b"Output:" in found.pop("chat_template.jinja")
    assert found == {k: v for k, v in weights().items() if k != "adapter_config.json"}
    assert "wrote version 2 of desk" in capsys.readouterr().out


def test_an_adapter_is_merged_by_a_job(tmp_path: Path, compute: InMemoryCompute) -> None:
    ask("--version", 2, "--merged", "--to", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == b"all weights"
    assert not (tmp_path / "out" / "adapter_model.safetensors").exists()
    assert len(compute.submissions) == 1


def test_what_is_whole_is_not_merged_and_production_is_the_default(
    tmp_path: Path, compute: InMemoryCompute
) -> None:
    (tmp_path / "out").mkdir()
    ask("--merged", "--to", tmp_path / "out")
    assert (tmp_path / "out" / "config.json").exists()
    assert compute.submissions == []


def test_a_folder_with_anything_in_it_is_refused(
    tmp_path: Path, compute: InMemoryCompute, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note").touch()
    for place in (tmp_path / "out", tmp_path / "out" / "note"):
        said = refused(capsys, "desk", "--version", 2, "--merged", "--to", place)
        assert (
            said
            == f"error: {place} is not an empty folder: name one that is empty or not there yet\n"
        )
    assert compute.submissions == []


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "models has no 'mail'" in refused(capsys, "mail", "--to", tmp_path / "out")
    said = refused(capsys, "desk", "--version", 7, "--to", tmp_path / "out")
    assert "model 'desk' has no version 7: choose one of [1, 2]" in said


def test_weights_that_changed_are_not_written(
    tmp_path: Path, house: list[ArtifactRef], capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(house[1].uri.removeprefix("file://")) / "adapter_model.safetensors"
    file.write_bytes(b"tampered")
    said = refused(capsys, "desk", "--version", 2, "--to", tmp_path / "out")
    assert "file 'adapter_model.safetensors' of folder" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("permanent", [True, False])
def test_a_job_that_fails_says_why(
    tmp_path: Path, compute: InMemoryCompute, capsys: pytest.CaptureFixture[str], permanent: bool
) -> None:
    compute.fail_next["merge"] = JobFailed("install the same base weights", permanent=permanent)
    said = refused(capsys, "desk", "--version", 2, "--merged", "--to", tmp_path / "out")
    assert said == "error: install the same base weights\n"
    compute.forget_next.add("merge")
    said = refused(capsys, "desk", "--version", 2, "--merged", "--to", tmp_path / "out")
    assert "the Ray cluster lost job merge-" in said


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    from shared.adapters.checkpoint_export import write_checkpoint
    from shared.errors import BadInput

    target = tmp_path / "exports" / "out"
    target.mkdir(parents=True)
    with pytest.raises(BadInput, match="cannot be written"):
        write_checkpoint({"a": b"1", "a/b": b"2"}, target)
    assert list(target.parent.iterdir()) == [target]
    assert not list(target.iterdir())
    write_checkpoint({"a": b"1", "b/c": b"2"}, target)
    assert (target / "b" / "c").read_bytes() == b"2"
