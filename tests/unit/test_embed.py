"""The embed job on a tiny encoder: one row for each text, whatever shares the work."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

torch = pytest.importorskip("torch", reason="the compute extra is not installed")
transformers = pytest.importorskip("transformers", reason="the compute extra is not installed")

from shared.adapters.artifacts import FsspecArtifacts  # noqa: E402
from shared.domain.artifacts import ArtifactRef  # noqa: E402
from shared.domain.pipeline import Method  # noqa: E402
from shared.domain.rows import Row, dump_rows  # noqa: E402
from shared.domain.tasks import Task, TaskKind  # noqa: E402
from shared.job_specs import EmbedSpec  # noqa: E402
from shared.jobs.checkpoints import FORMAT, Adapter, save  # noqa: E402
from shared.jobs.classifiers import load_tokenizer, new_classifier  # noqa: E402
from shared.jobs.embed import Encoder, load_deployed, load_encoder, read_texts, run_embed  # noqa: E402
from shared.jobs.predict import Predictor  # noqa: E402
from tests.unit.tiny_bert import save_tiny_bert  # noqa: E402

WORDS = ["where", "is", "my", "card", "pay", "the", "rent", "now", "please"]
TASK = Task(TaskKind.CLASSIFICATION, ("billing", "delivery", "refund"))
TEXTS = ["where is my card", "pay the rent", "now", "", "where is my card", "my " * 40]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("base"), WORDS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FsspecArtifacts:
    return FsspecArtifacts(tmp_path_factory.mktemp("store").as_uri())


@pytest.fixture(scope="module")
def adapter(base: Path, store: FsspecArtifacts) -> ArtifactRef:
    torch.manual_seed(2)
    model = new_classifier(base, TASK)
    # A head of small random weights would give every label the same probability.
    torch.nn.init.normal_(model.classifier.weight)
    made = Adapter(format=FORMAT, task=TASK, base_model=str(base), method=Method.FULL)
    return save(store, made, model, load_tokenizer(base), name="tiny")


def embed(store: FsspecArtifacts, spec: EmbedSpec) -> tuple[np.ndarray, np.ndarray | None]:
    done = run_embed(spec, store)
    refs = [done.embeddings, *([done.probabilities] if done.probabilities else [])]
    found = [np.load(io.BytesIO(store.get(ref)), allow_pickle=False) for ref in refs]
    return found[0], found[1] if done.probabilities else None


def stored(store: FsspecArtifacts, texts: list[str]) -> ArtifactRef:
    rows = [Row(str(at), text, "billing") for at, text in enumerate(texts)]
    return store.put(dump_rows(rows), name="texts.jsonl")


def test_the_base_model_gives_unit_vectors_in_the_order_of_the_texts(
    base: Path, store: FsspecArtifacts
) -> None:
    spec = EmbedSpec(base_model=str(base), texts=stored(store, TEXTS))
    vectors, probabilities = embed(store, spec)
    assert probabilities is None
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors[0] == vectors[4]).all()
    assert len(np.unique(vectors, axis=0)) == len(set(TEXTS))


def test_a_deployed_model_gives_both_and_answers_as_it_is_served(
    store: FsspecArtifacts, adapter: ArtifactRef
) -> None:
    vectors, probabilities = embed(store, EmbedSpec(adapter=adapter, texts=stored(store, TEXTS)))
    assert probabilities is not None
    assert (vectors.shape, probabilities.shape) == ((6, 32), (6, 3))
    assert probabilities.dtype == np.float16
    np.testing.assert_allclose(probabilities.astype(float).sum(axis=1), 1, atol=2e-3)
    served = Predictor.load(store, adapter).predict(TEXTS)
    assert [TASK.labels[at] for at in probabilities.argmax(axis=1)] == [p.output for p in served]
    np.testing.assert_allclose(probabilities.max(axis=1), [p.confidence for p in served], atol=0.02)


def test_with_both_models_the_base_embeds_and_the_deployed_one_answers(
    base: Path, store: FsspecArtifacts, adapter: ArtifactRef
) -> None:
    texts = stored(store, TEXTS)
    both = embed(store, EmbedSpec(base_model=str(base), adapter=adapter, texts=texts))
    np.testing.assert_array_equal(
        both[0], embed(store, EmbedSpec(base_model=str(base), texts=texts))[0]
    )
    np.testing.assert_array_equal(both[1], embed(store, EmbedSpec(adapter=adapter, texts=texts))[1])


def test_neither_order_nor_repeats_nor_cores_change_a_number(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.embed._TOKENS_IN_A_BATCH", {"cpu": 32, "cuda": 32})
    encoder = load_encoder(base)
    texts = [" ".join(WORDS[at % 9 :]) for at in range(30)]
    plain, _ = read_texts(texts, base=encoder, deployed=None)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads % 2 + 1)
    try:
        shuffled, _ = read_texts(texts[::-1] + texts, base=encoder, deployed=None)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(shuffled, np.concatenate([plain[::-1], plain]))


def test_each_distinct_text_is_read_once(store: FsspecArtifacts, adapter: ArtifactRef) -> None:
    counting = Counting(load_deployed(store, adapter))
    read_texts(TEXTS * 5, base=None, deployed=counting.encoder)
    assert counting.rows == len(set(TEXTS))


class Counting:
    """An encoder that counts the rows it is given."""

    def __init__(self, encoder: Encoder) -> None:
        self.rows = 0
        encoder.model.register_forward_pre_hook(self._count, with_kwargs=True)
        self.encoder = replace(encoder)

    def _count(self, _model: object, _given: object, batch: dict[str, np.ndarray]) -> None:
        self.rows += len(batch["input_ids"])


def test_a_spec_without_any_model_is_refused(store: FsspecArtifacts) -> None:
    with pytest.raises(ValidationError, match="base_model and adapter are both missing"):
        EmbedSpec(texts=stored(store, TEXTS))
