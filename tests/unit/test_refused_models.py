"""Models that cannot be trained or read: a sentence instead of a crash, and what is cut is said."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the compute extra is not installed")
transformers = pytest.importorskip("transformers", reason="the compute extra is not installed")
pytest.importorskip("peft", reason="the compute extra is not installed")

from shared.adapters.artifacts import FsspecArtifacts  # noqa: E402
from shared.domain.artifacts import ArtifactRef  # noqa: E402
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy  # noqa: E402
from shared.domain.rows import Row as DomainRow  # noqa: E402
from shared.domain.rows import dump_rows  # noqa: E402
from shared.domain.tasks import Task, TaskKind  # noqa: E402
from shared.errors import BadInput  # noqa: E402
from shared.job_specs import (  # noqa: E402
    JOB_SPEC,
    CandidateSpec,
    EmbedSpec,
    EvaluateSpec,
    FailedCandidate,
    ModelSpec,
    TrainedCandidate,
    TrainSpec,
)
from shared.jobs import __main__ as job  # noqa: E402
from shared.jobs.base_models import base_folder  # noqa: E402
from shared.jobs.checkpoints import FORMAT, Adapter, load, save  # noqa: E402
from shared.jobs.classifiers import (  # noqa: E402
    load_tokenizer,
    new_classifier,
    saved_classifier,
)
from shared.jobs.embed import load_encoder  # noqa: E402
from shared.jobs.evaluate import run_evaluate  # noqa: E402
from shared.jobs.lessons import prepare  # noqa: E402
from shared.jobs.predict import Predictor  # noqa: E402
from shared.jobs.rows import Row, read_rows  # noqa: E402
from shared.jobs.train import train_together  # noqa: E402
from shared.jobs.trainable import trainable  # noqa: E402
from shared.jobs.weights import context_of  # noqa: E402

TASK = Task(TaskKind.CLASSIFICATION, ("billing", "delivery", "returns"))
ENTITIES = Task(TaskKind.NER, ("city",))
WORDS = ["where", "is", "my", "bill", "box", "back", "please"]
POSITIONS = 16
ROWS = [
    DomainRow(f"{label} {at}", f"{word} {'please ' * at}", label)
    for label, word in zip(TASK.labels, ("bill", "box", "back"), strict=True)
    for at in range(4)
]
LONG = DomainRow("the long one", "box " + "please " * 40, "delivery")


def config(kind: str = "BertConfig", **more: object) -> object:
    return getattr(transformers, kind)(
        **{
            "vocab_size": 5 + len(WORDS),
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": POSITIONS,
            **more,
        }
    )


def with_tokenizer(folder: Path) -> Path:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = with_tokenizer(tmp_path_factory.mktemp("base"))
    torch.manual_seed(1)
    transformers.BertModel(config()).save_pretrained(folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts((tmp_path / "store").as_uri())


def spoilt(folder: Path, described: object, weights: bytes | None = None) -> Path:
    (folder / "config.json").write_text(json.dumps(described))
    if weights is not None:
        (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize(
    ("task", "described", "weights", "said"),
    [
        (TASK, {"model_type": "vit"}, None, "is of architecture 'vit', which has no head to class"),
        (ENTITIES, {"model_type": "bart"}, None, "'bart', which has no head to classify words"),
        (TASK, {"model_type": "martian"}, None, "its config.json cannot be used .*transformers kn"),
        (TASK, {}, None, "its config.json cannot be used"),
        (TASK, {"model_type": "bert"}, b"version https://git-lfs", "its weights cannot be read"),
        (TASK, {"model_type": "bert"}, None, "its weights cannot be read"),
    ],
    ids=["images", "no head of words", "unknown", "no type", "lfs pointer", "no weights"],
)
def test_a_base_model_without_the_needed_head_is_named(
    tmp_path: Path, task: Task, described: object, weights: bytes | None, said: str
) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        new_classifier(spoilt(tmp_path, described, weights), task)
    assert str(tmp_path) in str(refused.value)


def test_a_folder_without_tokenizer_or_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"its tokenizer cannot be .* tokenizer\.save_pretrained"):
        load_tokenizer(spoilt(tmp_path, {"model_type": "bert"}, b""))
    (tmp_path / "config.json").unlink()
    with pytest.raises(BadInput, match=r"holds no config.json: give the model's own folder"):
        base_folder(str(tmp_path))


def test_a_base_model_may_have_been_a_classifier_of_other_labels(tmp_path: Path) -> None:
    transformers.BertForSequenceClassification(config(num_labels=5)).save_pretrained(tmp_path)
    assert new_classifier(tmp_path, TASK).classifier.out_features == 3
    with pytest.raises(BadInput, match=r"2 of its weights, such as classifier\.\w+, are not"):
        saved_classifier(tmp_path, TASK)


def test_an_encoder_of_other_weights_is_refused_not_made_up(tmp_path: Path) -> None:
    transformers.BertModel(config()).save_pretrained(tmp_path)
    said = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(BadInput, match=r"weights, such as bert\.\S+, are not there or of another"):
        new_classifier(spoilt(tmp_path, said | {"intermediate_size": 32}), TASK)
    with pytest.raises(BadInput, match="not there or of another shape"):
        load_encoder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    with pytest.raises(BadInput, match="save the whole model again"):
        new_classifier(spoilt(tmp_path, said), TASK)


def test_a_deployed_model_without_its_head_is_broken_not_random(
    base: Path, store: FsspecArtifacts
) -> None:
    headless = transformers.BertModel.from_pretrained(base)
    adapter = Adapter(format=FORMAT, task=TASK, base_model=str(base), method=Method.FULL)
    ref = save(store, adapter, headless, load_tokenizer(base), name="headless")
    with pytest.raises(BadInput, match="is a head over 3 classes"):
        load(store, ref)
    rows = store.put(dump_rows(ROWS), name="rows.jsonl")
    done = run_evaluate(EvaluateSpec(models=(ModelSpec(id="m", adapter=ref),), sets=(rows,)), store)
    assert "is a head over 3 classes" in done.broken["m"]


def recipe(base: Path, method: Method = Method.FULL) -> Recipe:
    hyperparameters = Hyperparameters(str(base), 1e-3, epochs=1, batch_size=4, max_tokens=128)
    return Recipe(hyperparameters, Strategy(method))


def trained(
    base: Path, store: FsspecArtifacts, rows: list[DomainRow], method: Method = Method.FULL
) -> TrainedCandidate | FailedCandidate:
    candidate = CandidateSpec(id="one", recipe=recipe(base, method))
    training_set = store.put(dump_rows(rows), name="rows.jsonl")
    spec = TrainSpec(task=TASK, training_set=training_set, candidates=(candidate,))
    try:
        [outcome] = train_together(spec, [candidate], "job", store.uri, threads=1)
    finally:
        torch.set_flush_denormal(False)
    return outcome


@pytest.mark.parametrize("method", list(Method))
def test_a_text_longer_than_the_context_is_cut_and_that_is_said_once(
    base: Path, store: FsspecArtifacts, method: Method
) -> None:
    outcome = trained(base, store, [*ROWS, LONG], method)
    assert isinstance(outcome, TrainedCandidate), outcome
    assert "1 of 13 texts are longer than the 16 tokens that are read" in outcome.warning
    assert f"row 'the long one' ({LONG.text[:60]!r}…) has 43" in outcome.warning
    [cut, short] = Predictor.load(store, outcome.adapter).predict(
        [LONG.text, "box " + "please " * 13]
    )
    assert cut == short


def test_texts_within_the_context_are_no_warning(base: Path, store: FsspecArtifacts) -> None:
    just = DomainRow("just", "box " + "please " * 13, "delivery")
    outcome = trained(base, store, [*ROWS, just])
    assert isinstance(outcome, TrainedCandidate)
    assert outcome.warning == ""


def test_the_context_is_what_a_model_has_positions_for() -> None:
    bert = transformers.BertModel(config())
    # RoBERTa's first position is behind that of its padding.
    roberta = transformers.RobertaModel(config("RobertaConfig", pad_token_id=1))
    assert (context_of(bert), context_of(roberta)) == (16, 14)
    xlnet = transformers.XLNetConfig(vocab_size=9, d_model=16, n_layer=1, n_head=2, d_inner=16)
    assert context_of(transformers.XLNetModel(xlnet)) == sys.maxsize


ARCHITECTURES = {
    "DistilBert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16},
    "DebertaV2": {},
    "ModernBert": {"pad_token_id": 0, "eos_token_id": 3, "bos_token_id": 2, "cls_token_id": 2},
    "XLNet": {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16},
    "Roberta": {},
}


@pytest.mark.parametrize("task", [TASK, ENTITIES], ids=lambda task: task.kind.value)
@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_an_adapter_of_any_architecture_is_the_same_when_loaded(
    tmp_path: Path, store: FsspecArtifacts, name: str, task: Task
) -> None:
    base = with_tokenizer(tmp_path)
    own = {"DistilBert", "XLNet"}
    words = {"vocab_size": 5 + len(WORDS)} | ARCHITECTURES[name]
    kind = f"{name}Config"
    made = getattr(transformers, kind)(**words) if name in own else config(kind, **words)
    getattr(transformers, f"{name}Model")(made).save_pretrained(base)
    model = trainable(new_classifier(base, task), recipe(base, Method.LORA)).eval()
    adapter = Adapter(format=FORMAT, task=task, base_model=str(base), method=Method.LORA)
    loaded = load(store, save(store, adapter, model, load_tokenizer(base), name="adapter"))
    inputs = {"input_ids": torch.tensor([[2, 6, 7, 3]])}
    with torch.no_grad():
        expected = model.float()(**inputs).logits
        found = loaded.model.eval()(**inputs).logits
    # Weights that stay as they are may be rounded to bfloat16 while the others are trained.
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-2)


def test_a_defect_fails_the_candidate_with_its_reason(
    base: Path, store: FsspecArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.fit.fit", raising(IndexError("index out of range")))
    outcome = trained(base, store, ROWS)
    assert isinstance(outcome, FailedCandidate)
    assert outcome.reason == "IndexError: index out of range"


def raising(error: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "permanent"), [(IndexError("position 300"), False), (BadInput("no rows"), True)]
)
def test_a_job_that_fails_leaves_its_reason(
    store: FsspecArtifacts, monkeypatch: pytest.MonkeyPatch, error: Exception, permanent: bool
) -> None:
    texts = store.put(dump_rows(ROWS), name="rows.jsonl")
    spec = JOB_SPEC.dump_json(EmbedSpec(base_model="any", texts=texts))
    store.write_state("jobs/one/spec.json", spec)
    monkeypatch.setenv("ARTIFACTS_URI", store.uri)
    monkeypatch.setattr("shared.jobs.devices.use_all_cpus", lambda: None)
    monkeypatch.setattr("shared.jobs.embed.run_embed", raising(error))
    assert job.main("one") == 1
    left = json.loads(store.read_state("jobs/one/error.json") or b"")
    assert left == {"reason": f"{type(error).__name__}: {error}", "permanent": permanent}


def test_rows_that_are_no_text_are_named(store: FsspecArtifacts) -> None:
    ref: ArtifactRef = store.put('{"id": "é"}'.encode("latin-1"), name="rows.jsonl")
    with pytest.raises(BadInput, match="byte 8 is not UTF-8"):
        read_rows(store, ref, keys=("id",))


def test_a_target_that_is_no_label_is_named_with_its_row(base: Path) -> None:
    rows = [Row(one.id, one.text, one.target) for one in ROWS] + [Row("last", "box", "news")]
    with pytest.raises(BadInput, match=r"row 'last' .'box'.: 'news' is not one of the 3 labels"):
        prepare(rows, TASK, recipe(base), load_tokenizer(base), soft=None, on=torch.device("cpu"))
