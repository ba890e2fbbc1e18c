"""Data sets in a folder of one's own: found by name before any other, and never left by a name."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.synthesizer.acquiring import Acquired, Acquiring
from services.synthesizer.adapters.local_catalogue import LocalCatalogue
from services.synthesizer.ports import DataSet
from services.synthesizer.seeding import SeedingPolicy
from services.synthesizer.settings import SynthesizerSettings
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.answer_form import Scorer
from shared.errors import BadInput, BadSettings
from shared.events import TaskSubmitted
from shared.settings import load_settings

ROW = b'{"prompt": "add", "answer": "a = 1", "tests": "assert a"}\n'
SURVEY = [{"name": "BERT", "measure": "accuracy", "score": 0.9}]


class Elsewhere:
    """The hub, which has one data set."""

    def load(self, name: str) -> DataSet:
        if name == "owner/set":
            return DataSet(rows=b"theirs")
        raise BadInput(f"data set {name!r} cannot be loaded")


def filled(folder: Path, *names: str, **files: Any) -> LocalCatalogue:
    for name in names:
        (folder / name).mkdir()
        (folder / name / "train.jsonl").write_bytes(ROW)
        for file, told in files.items():
            (folder / name / f"{file}.json").write_text(json.dumps(told))
    return LocalCatalogue(folder, Elsewhere())


def test_a_name_is_looked_for_here_then_elsewhere(tmp_path: Path) -> None:
    catalogue = filled(tmp_path, "clinc150")
    assert catalogue.load("clinc150") == DataSet(ROW)
    (tmp_path / "clinc150" / "test.jsonl").write_bytes(ROW * 2)
    assert catalogue.load("clinc150") == DataSet(ROW, ROW * 2)
    assert catalogue.load("owner/set").rows == b"theirs"


def test_what_is_nowhere_is_answered_with_what_is_here(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'gone' cannot be loaded; the catalogue .* has nothing$"):
        LocalCatalogue(tmp_path, Elsewhere()).load("gone")
    catalogue = filled(tmp_path, *(f"set{n:02}" for n in range(22)))
    (tmp_path / "no rows").mkdir()
    with pytest.raises(BadInput, match=r"has set00, set01, .*, set19 and 2 more$") as refused:
        catalogue.load("gone")
    assert "no rows" not in str(refused.value)


@pytest.mark.parametrize("name", ["..", "../secret", ".", "", "/etc", "here/../../secret"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "here").mkdir()
    catalogue = filled(tmp_path / "here", "mail")
    filled(tmp_path, "secret")
    with pytest.raises(BadInput, match="has mail"):
        catalogue.load(name)


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="let PIONEER_CATALOGUE name a folder"):
        LocalCatalogue(tmp_path / "gone", Elsewhere()).load("mail")


async def acquired(folder: Path, **more: Any) -> Acquired:
    form = {"scorer": "pass@1", "extractor": "code"}
    catalogue = filled(folder, "code", task={"form": form}, survey=SURVEY)
    artifacts = FsspecArtifacts((folder / "store").as_uri())
    event = TaskSubmitted(
        id="one", model="coder", description="write code", base_model="b", data_set="code", **more
    )
    return await Acquiring(artifacts, catalogue, SeedingPolicy(4), 60.0).acquire(event)


async def test_what_lies_beside_the_rows_is_read_with_them(tmp_path: Path) -> None:
    found = await acquired(tmp_path)
    assert found.task.form is not None
    assert found.task.form.scorer is Scorer.PASSES
    assert found.rows[0].target.endswith("assert a")
    assert [one.name for one in found.survey] == ["BERT"]
    assert found.source == "code"


async def test_what_is_asked_for_goes_first(tmp_path: Path) -> None:
    ours = SURVEY[0] | {"name": "ours"}
    found = await acquired(tmp_path, form={"scorer": "exact"}, survey=[ours])
    assert found.rows[0].target == "a = 1"
    assert [one.name for one in found.survey] == ["ours"]


def test_a_bad_file_beside_the_rows_is_named(tmp_path: Path) -> None:
    catalogue = filled(tmp_path, "mail", survey=[SURVEY[0] | {"score": 90}])
    with pytest.raises(BadInput, match=r"mail/survey\.json, entry 1: score 90"):
        catalogue.load("mail")
    (tmp_path / "mail" / "task.json").write_text("[]")
    with pytest.raises(BadInput, match=r"mail/task\.json: is no JSON object"):
        catalogue.load("mail")


def test_the_setting_names_a_folder_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "ARTIFACTS_URI"):
        monkeypatch.setenv(name, "memory://nowhere")
    monkeypatch.setenv("RAY_ADDRESS", "http://nowhere:8265")
    monkeypatch.setenv("PIONEER_CATALOGUE", "")
    assert load_settings(SynthesizerSettings).catalogue is None
    monkeypatch.setenv("PIONEER_CATALOGUE", str(tmp_path))
    assert load_settings(SynthesizerSettings).catalogue == tmp_path
    monkeypatch.setenv("PIONEER_CATALOGUE", str(tmp_path / "gone"))
    with pytest.raises(BadSettings, match=r"PIONEER_CATALOGUE: .*gone is no folder"):
        load_settings(SynthesizerSettings)


def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = filled(tmp_path, "clinc150")

    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(BadInput, match=r"'clinc150' of the catalogue .*Permission denied"):
        catalogue.load("clinc150")
