"""Checkpoints from elsewhere: what is taken, and the sentence for what is not."""

import json
from pathlib import Path

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.checkpoint_import import import_checkpoint
from shared.domain.answer_form import AnswerForm, Extractor
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput

BASE = "sentence-transformers/all-MiniLM-L6-v2"


def checkpoint(folder: Path, **files: object) -> Path:
    folder.mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def full(folder: Path, labels: list[str]) -> Path:
    config = {"id2label": {str(i): label for i, label in enumerate(labels)}}
    return checkpoint(folder, config__json=config, model__safetensors=b"weights")


def test_a_full_checkpoint_keeps_its_labels_and_its_bytes(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = full(tmp_path / "model", ["billing", "delivery"])
    taken = import_checkpoint(artifacts, folder, name="desk", base_model=BASE)
    assert (taken.task.labels, taken.base_model) == (("billing", "delivery"), BASE)
    files = artifacts.get_folder(taken.ref)
    assert files["model.safetensors"] == b"weights"
    assert json.loads(files["adapter.json"])["method"] == "full"


def test_a_lora_checkpoint_names_its_base_itself(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = checkpoint(
        tmp_path / "model",
        adapter_config__json={"base_model_name_or_path": BASE},
        adapter_model__safetensors=b"weights",
        labels__json=["a", "b"],
    )
    taken = import_checkpoint(artifacts, folder, name="desk", base_model=None)
    assert taken.base_model == BASE
    assert json.loads(artifacts.get_folder(taken.ref)["adapter.json"])["method"] == "lora"


def test_a_head_of_bio_tags_names_entities(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = full(tmp_path / "model", ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"])
    taken = import_checkpoint(artifacts, folder, name="names", base_model=BASE)
    assert taken.task == Task(TaskKind.NER, ("LOC", "PER"))
    unsorted = full(tmp_path / "other", ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    with pytest.raises(BadInput, match="not O, then B- and I- of each type in sorted order"):
        import_checkpoint(artifacts, unsorted, name="names", base_model=BASE)


def test_a_causal_model_says_how_it_is_asked(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    form = {"extractor": "number", "chat_template": "plain", "system_prompt": "Count."}
    files = {"config__json": {"architectures": ["LlamaForCausalLM"]}, "model__safetensors": b"w"}
    folder = checkpoint(tmp_path / "model", task__json={"form": form}, **files)
    taken = import_checkpoint(artifacts, folder, name="sums", base_model=BASE)
    assert taken.task == Task(
        TaskKind.GENERATION,
        (),
        AnswerForm(extractor=Extractor.NUMBER, chat_template="plain", system_prompt="Count."),
    )
    adapter = json.loads(artifacts.get_folder(taken.ref)["adapter.json"])
    assert adapter["task"]["form"]["system_prompt"] == "Count."
    lora = {"adapter_config__json": {"task_type": "CAUSAL_LM", "base_model_name_or_path": BASE}}
    bare = checkpoint(tmp_path / "bare", adapter_model__safetensors=b"w", **lora)
    taken = import_checkpoint(artifacts, bare, name="sums", base_model=None)
    assert taken.task == Task(TaskKind.GENERATION, ())
    wrong = checkpoint(tmp_path / "wrong", task__json={"form": {"scorer": "taste"}}, **files)
    with pytest.raises(BadInput, match=r"task.json: form.*scorer"):
        import_checkpoint(artifacts, wrong, name="sums", base_model=BASE)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"config__json": {}, "pytorch_model__bin": b"pickle"}, "holds no .safetensors file"),
        ({"model__safetensors": b"w"}, "has no config.json"),
        (
            {"model__safetensors": b"w", "config__json": {"id2label": {"0": "b", "1": "a"}}},
            "not in sorted order",
        ),
        (
            {"adapter_model__safetensors": b"w", "adapter_config__json": {}},
            "has no labels.json",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(
    tmp_path: Path, files: dict[str, object], sentence: str
) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = checkpoint(tmp_path / "model", **files)
    with pytest.raises(BadInput, match=sentence):
        import_checkpoint(artifacts, folder, name="desk", base_model=BASE)


def test_a_full_checkpoint_without_a_base_is_refused(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = full(tmp_path / "model", ["a", "b"])
    with pytest.raises(BadInput, match="--base-model"):
        import_checkpoint(artifacts, folder, name="desk", base_model=None)
