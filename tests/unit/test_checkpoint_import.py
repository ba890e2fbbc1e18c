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


def weights(**shapes: tuple[int, ...]) -> bytes:
    """A safetensors file that says it holds these, as its header does."""
    named = {f"{name.replace('__', '.')}.weight": shape for name, shape in shapes.items()}
    entries = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        for name, shape in named.items()
    }
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    return len(header).to_bytes(8, "little") + header


TWO = weights(classifier=(2, 8))


def checkpoint(folder: Path, **files: object) -> Path:
    folder.mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def full(folder: Path, labels: list[str], **files: object) -> Path:
    config = {"id2label": {str(i): label for i, label in enumerate(labels)}}
    head = weights(bert__embeddings__word_embeddings=(30, 8), classifier=(len(labels), 8))
    given = {"config__json": config, "model__safetensors": head, "tokenizer__json": {}}
    return checkpoint(folder, **(given | files))


def test_a_full_checkpoint_keeps_its_labels_and_its_bytes(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = full(tmp_path / "model", ["billing", "delivery"])
    taken = import_checkpoint(artifacts, folder, name="desk", base_model=BASE)
    assert (taken.task.labels, taken.base_model) == (("billing", "delivery"), BASE)
    files = artifacts.get_folder(taken.ref)
    assert files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert json.loads(files["adapter.json"])["method"] == "full"


def test_a_lora_checkpoint_names_its_base_itself(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = checkpoint(
        tmp_path / "model",
        adapter_config__json={"base_model_name_or_path": BASE},
        adapter_model__safetensors=TWO,
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


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 30,
    "tie_word_embeddings": False,
}
LOW_RANK = weights(model__q_proj__lora_A=(4, 8), model__q_proj__lora_B=(8, 4))


def writer(folder: Path, **files: object) -> Path:
    whole = {
        "config__json": LLAMA,
        "model__safetensors": weights(model__embed_tokens=(30, 8), lm_head=(30, 8)),
        "tokenizer__json": {},
        "tokenizer_config__json": {"chat_template": "{{ messages }}"},
    }
    return checkpoint(folder, **(whole | files))


def test_a_causal_model_says_how_it_is_asked(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    form = {"extractor": "number", "chat_template": "plain", "system_prompt": "Count."}
    folder = writer(tmp_path / "model", task__json={"form": form}, tokenizer_config__json={})
    taken = import_checkpoint(artifacts, folder, name="sums", base_model=BASE)
    assert taken.task == Task(
        TaskKind.GENERATION,
        (),
        AnswerForm(extractor=Extractor.NUMBER, chat_template="plain", system_prompt="Count."),
    )
    adapter = json.loads(artifacts.get_folder(taken.ref)["adapter.json"])
    assert adapter["task"]["form"]["system_prompt"] == "Count."
    lora = {"adapter_config__json": {"task_type": "CAUSAL_LM", "base_model_name_or_path": BASE}}
    bare = checkpoint(tmp_path / "bare", adapter_model__safetensors=LOW_RANK, **lora)
    taken = import_checkpoint(artifacts, bare, name="sums", base_model=None)
    assert taken.task == Task(TaskKind.GENERATION, ())
    wrong = writer(tmp_path / "wrong", task__json={"form": {"scorer": "taste"}})
    with pytest.raises(BadInput, match=r"task.json: form.*scorer"):
        import_checkpoint(artifacts, wrong, name="sums", base_model=BASE)


def test_a_causal_model_may_bring_its_template_and_tie_its_head(tmp_path: Path) -> None:
    tied = LLAMA | {"tie_word_embeddings": True}
    one = weights(model__embed_tokens=(30, 8), model__q_proj=(8, 8))
    taken(writer(tmp_path / "tied", config__json=tied, model__safetensors=one))
    seeing = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": tied}
    beside = {"chat_template__jinja": b"{{ messages }}", "tokenizer_config__json": {}}
    taken(writer(tmp_path / "sees", config__json=seeing, model__safetensors=one, **beside))


def test_an_adapter_without_its_type_writes_when_it_declares_a_form(tmp_path: Path) -> None:
    lora = {"adapter_config__json": {"base_model_name_or_path": BASE}}
    taken(checkpoint(tmp_path / "m", adapter_model__safetensors=LOW_RANK, task__json={}, **lora))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"model__safetensors": b"w"}, "is not a whole safetensors file"),
        (
            {"model__safetensors": weights(model__embed_tokens=(30, 8))},
            "1 of its 1 weights have a row for each of 30 tokens, a model that writes has 2",
        ),
        ({"tokenizer__json": b"", "tokenizer_config__json": {}}, "brings no chat template"),
        ({"config__json": LLAMA | {"is_encoder_decoder": True}}, "is an encoder with a decoder"),
        ({"task__json": []}, "task.json: is not a JSON object"),
        ({"task__json": {"extractor": "number"}}, "'extractor' is nothing that can be said there"),
        ({"task__json": {"form": {"temperature": 1}}}, "'temperature' is nothing that can be"),
        ({"task__json": {"form": 3}}, "task.json: form"),
        ({"task__json": {"kind": "ner"}}, "kind is 'ner', but the model writes"),
        ({"task__json": {"labels": ["b", "a"]}}, "sorted, none twice"),
    ],
)
def test_a_causal_model_that_cannot_be_asked_is_refused(
    tmp_path: Path, files: dict[str, object], sentence: str
) -> None:
    refused(writer(tmp_path / "model", **files), sentence)


def test_a_causal_model_without_tokenizer_or_adapter_is_refused(tmp_path: Path) -> None:
    whole = {"config__json": LLAMA, "model__safetensors": LOW_RANK}
    refused(checkpoint(tmp_path / "model", **whole), "has no tokenizer")
    lora = {"adapter_config__json": LORA | {"task_type": "CAUSAL_LM"}}
    empty = checkpoint(tmp_path / "lora", adapter_model__safetensors=TWO, **lora)
    refused(empty, "none of its 1 weights is a low-rank adapter")


def test_a_causal_model_of_ours_keeps_its_form(tmp_path: Path) -> None:
    task = {"kind": "generation", "labels": [], "form": {"extractor": "number"}}
    ours = {"format": 1, "task": task, "base_model": BASE, "method": "full"}
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    found = import_checkpoint(
        artifacts, writer(tmp_path / "m", adapter__json=ours), name="sums", base_model=None
    )
    assert found.task == Task(TaskKind.GENERATION, (), AnswerForm(extractor=Extractor.NUMBER))


def labelled(*labels: str, **more: object) -> dict[str, object]:
    return {"id2label": {str(at): label for at, label in enumerate(labels)}} | more


AB = labelled("a", "b")
LORA = {"base_model_name_or_path": BASE, "task_type": "SEQ_CLS"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"config__json": {}, "pytorch_model__bin": b"pickle"}, "holds no .safetensors file"),
        ({"model__safetensors": TWO}, "has no config.json: save the model with save_pretrained"),
        ({"model__safetensors": TWO, "config__json": b"{"}, "config.json: is not JSON"),
        ({"model__safetensors": TWO, "config__json": b"\xff"}, "config.json: is not JSON"),
        ({"model__safetensors": TWO, "config__json": []}, "config.json: is not a JSON object"),
        (
            {"adapter_model__safetensors": TWO, "adapter_config__json": {}},
            "has no labels.json: write the labels as a JSON list",
        ),
        (
            {
                "adapter_model__safetensors": TWO,
                "adapter_config__json": LORA,
                "labels__json": {"0": "a"},
            },
            "labels.json: want a list of texts",
        ),
        (
            {
                "adapter_model__safetensors": TWO,
                "adapter_config__json": LORA | {"task_type": "SEQ_2_SEQ_LM"},
            },
            "is a SEQ_2_SEQ_LM, which has no head to classify with",
        ),
        (
            {
                "adapter_model__safetensors": weights(classifier__lora_B=(2, 8)),
                "adapter_config__json": LORA,
                "labels__json": ["a", "b"],
            },
            "none of its 1 weights is a head over 2 classes: .* in modules_to_save",
        ),
    ],
    ids=[
        *("pickle", "no config", "broken config", "no text", "no object", "no labels"),
        *("labels by number", "generates", "lora without head"),
    ],
)
def test_what_cannot_be_served_is_refused(
    tmp_path: Path, files: dict[str, object], sentence: str
) -> None:
    refused(checkpoint(tmp_path / "model", **files), sentence)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (labelled("b", "a"), "not in sorted order"),
        (labelled("a", "a"), "give at least two distinct labels, sorted, none twice"),
        (labelled("a"), "give at least two distinct labels"),
        ({}, "id2label does not name the labels 0, 1, 2"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label does not name the labels 0, 1, 2"),
        ({"id2label": {"x": "a", "y": "b"}}, "id2label does not name the labels 0, 1, 2"),
        ({"id2label": {"0": 1, "1": 2}}, "id2label: want a list of texts"),
        (AB | {"architectures": ["BertForMaskedLM"]}, "is a BertForMaskedLM, which has no head"),
        (AB | {"architectures": ["BertForTokenClassification"]}, "are not BIO tags"),
        (labelled("I-LOC", "O"), "not O, then B- and I- of each type"),
        (labelled("O", "S-LOC", "B-LOC", "I-LOC", "E-LOC"), "not O, then B- and I-"),
        (AB | {"problem_type": "multi_label_classification"}, "an answer is one label here"),
    ],
)
def test_a_head_of_another_kind_is_refused(
    tmp_path: Path, config: dict[str, object], sentence: str
) -> None:
    refused(full(tmp_path / "model", ["a", "b"], config__json=config), sentence)


@pytest.mark.parametrize(
    ("weights_file", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "run git lfs pull"),
        (b"weights", r"model.safetensors: is not a whole safetensors file \(7 bytes\)"),
        (TWO[:-4], "is not a whole safetensors file"),
        ((3).to_bytes(8, "little") + b"abc", "is not a whole safetensors file"),
        (weights(bert__embeddings__token_type_embeddings=(2, 8)), "none of its 1 weights is a"),
        (weights(classifier=(3, 8)), "none of its 1 weights is a head over 2 classes"),
    ],
    ids=["lfs pointer", "no header", "cut off", "header no json", "no head", "other classes"],
)
def test_weights_without_the_head_are_refused(
    tmp_path: Path, weights_file: bytes, sentence: str
) -> None:
    folder = full(tmp_path / "model", ["a", "b"], model__safetensors=weights_file)
    refused(folder, sentence)


def test_a_head_may_lie_in_any_of_several_files(tmp_path: Path) -> None:
    parts = {"model__safetensors": weights(embed=(30, 8)), "last__safetensors": TWO}
    taken(full(tmp_path / "model", ["a", "b"], **parts))


def test_a_checkpoint_without_its_tokenizer_is_refused(tmp_path: Path) -> None:
    files = {"config__json": AB, "model__safetensors": TWO}
    refused(checkpoint(tmp_path / "model", **files), r"has no tokenizer: .*save_pretrained")


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (
            {"kind": "translation", "labels": ["a", "b"]},
            "kind 'translation', which is unknown: use",
        ),
        ({"kind": "classification"}, "has no task with kind and labels"),
        ("classification", "has no task with kind and labels"),
        ({"kind": "classification", "labels": "ab"}, "adapter.json: want a list of texts"),
    ],
)
def test_a_task_of_ours_that_cannot_be_is_refused(
    tmp_path: Path, task: object, sentence: str
) -> None:
    ours = {"format": 1, "task": task, "base_model": BASE, "method": "full"}
    refused(full(tmp_path / "model", ["a", "b"], adapter__json=ours), sentence)


def taken(folder: Path) -> None:
    artifacts = FsspecArtifacts((folder.parent / "store").as_uri())
    import_checkpoint(artifacts, folder, name="desk", base_model=BASE)


def refused(folder: Path, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence) as error:
        taken(folder)
    assert str(folder) in str(error.value)


def test_a_full_checkpoint_without_a_base_is_refused(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    folder = full(tmp_path / "model", ["a", "b"])
    with pytest.raises(BadInput, match="--base-model"):
        import_checkpoint(artifacts, folder, name="desk", base_model=None)
