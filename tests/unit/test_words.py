"""A small encoder learns to tag words: windows, training, saving, answering."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the compute extra is not installed")
transformers = pytest.importorskip("transformers", reason="the compute extra is not installed")
pytest.importorskip("peft", reason="the compute extra is not installed")

from shared.adapters.artifacts import FsspecArtifacts  # noqa: E402
from shared.domain.artifacts import ArtifactRef  # noqa: E402
from shared.domain.entities import Entity, read_answer, write_answer  # noqa: E402
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy  # noqa: E402
from shared.domain.rows import Row as DomainRow  # noqa: E402
from shared.domain.rows import dump_rows  # noqa: E402
from shared.domain.tasks import Task, TaskKind  # noqa: E402
from shared.errors import BadInput  # noqa: E402
from shared.job_specs import CandidateSpec, EmbedSpec, TrainedCandidate, TrainSpec  # noqa: E402
from shared.jobs.checkpoints import describe, load, save  # noqa: E402
from shared.jobs.classifiers import load_tokenizer  # noqa: E402
from shared.jobs.congruence import soft_targets  # noqa: E402
from shared.jobs.embed import run_embed  # noqa: E402
from shared.jobs.fit import fit  # noqa: E402
from shared.jobs.lessons import prepare  # noqa: E402
from shared.jobs.predict import Predictor  # noqa: E402
from shared.jobs.rows import Row  # noqa: E402
from shared.jobs.train import train_together  # noqa: E402
from shared.jobs.words import windows, words_of  # noqa: E402
from tests.unit.tiny_bert import save_tiny_bert  # noqa: E402

TASK = Task(TaskKind.NER, ("city", "person"))
NAMES = {"person": ("ada", "alan", "grace hopper"), "city": ("paris", "new york", "rome")}
FORMS = ("{person} lives in {city}", "in {city} , {person} works", "{person} met nobody", "we met")
WORDS = "lives in works met nobody we . , ada alan grace hopper paris new york rome ##s"
VOCABULARY = WORDS.split()


def filled(form: str, person: str, city: str) -> Row:
    text = form.format(person=person, city=city)
    entities = [
        Entity(text.index(value), text.index(value) + len(value), of_type)
        for of_type, value in (("person", person), ("city", city))
        if value in text
    ]
    return Row(text, text, write_answer(entities, text))


ROWS = [filled(f, p, c) for f in FORMS for p in NAMES["person"] for c in NAMES["city"]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("base"), VOCABULARY)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FsspecArtifacts:
    return FsspecArtifacts(tmp_path_factory.mktemp("store").as_uri())


def recipe(base: Path, method: Method = Method.FULL, **strategy: float) -> Recipe:
    rate = 2e-2 if method is Method.LORA else 5e-3
    hyperparameters = Hyperparameters(str(base), rate, epochs=15, batch_size=6, max_tokens=16)
    return Recipe(hyperparameters, Strategy(method, **strategy))  # pyright: ignore[reportArgumentType]


def train(
    store: FsspecArtifacts, how: Recipe, parent: ArtifactRef | None = None, threshold: float = 0.0
) -> ArtifactRef:
    fitted = fit(
        ROWS,
        TASK,
        how,
        report=lambda *_: None,
        due=lambda: False,
        soft=soft_targets(store, parent, ROWS, TASK) if parent else None,
    )
    adapter = describe(TASK, how, store.put(b"rows", name="rows.jsonl"))
    adapter = adapter.model_copy(update={"threshold": threshold})
    return save(store, adapter, fitted.model, fitted.tokenizer, name="candidate")


@pytest.fixture(scope="module")
def trained(base: Path, store: FsspecArtifacts) -> ArtifactRef:
    return train(store, recipe(base))


texts = st.lists(st.sampled_from([*VOCABULARY[:-1], "qq", "romes", "\n"]), max_size=30).map(
    " ".join
)


@given(st.lists(texts, max_size=5), st.integers(5, 20))
def test_every_known_word_is_read_once_within_the_limit(
    base: Path, rows: list[str], limit: int
) -> None:
    found = windows(load_tokenizer(base), rows, max_tokens=limit)
    assert all(len(part.ids) <= limit for part in found)
    for row, text in enumerate(rows):
        parts = [part for part in found if part.row == row]
        assert [n for part in parts for n in part.words] == list(range(len(words_of(text))))
        assert parts
    for part in found:
        assert len(part.heads) == len(part.words)
        assert part.heads == sorted(set(part.heads))


def test_words_are_the_same_for_every_tokenizer() -> None:
    text = "Osc-Dis, 3beta  of_London's"
    assert [text[a:b] for a, b in words_of(text)] == [
        *("Osc", "-", "Dis", ",", "3beta", "of_London", "'", "s")
    ]


@pytest.mark.parametrize("method", list(Method))
def test_trained_saved_loaded(base: Path, store: FsspecArtifacts, method: Method) -> None:
    predictor = Predictor.load(store, train(store, recipe(base, method)))
    found = predictor.predict([row.text for row in ROWS])
    assert [one.output for one in found] == [row.target for row in ROWS]
    assert all(0.5 < one.confidence <= 1 for one in found)
    assert predictor.predict([]) == []
    assert [one.output for one in predictor.predict(["", " \n"])] == ["[]", "[]"]


def test_a_text_longer_than_a_window_is_answered_to_its_end(
    base: Path, store: FsspecArtifacts, trained: ArtifactRef
) -> None:
    whole = load(store, trained)
    how = recipe(base)
    # Four words beside the marks: each sentence is a window.
    narrow = replace(how, hyperparameters=replace(how.hyperparameters, max_tokens=6))
    adapter = whole.adapter.model_copy(update={"recipe": narrow})
    ref = save(store, adapter, whole.model, whole.tokenizer, name="narrow")
    text = " ".join(["ada lives in paris"] * 8)
    [found] = Predictor.load(store, ref).predict([text])
    assert [text[e.start : e.end] for e in read_answer(found.output)] == ["ada", "paris"] * 8


def test_an_entity_below_the_threshold_is_seen_and_not_named(
    base: Path, store: FsspecArtifacts, trained: ArtifactRef
) -> None:
    text = ["ada met paris in in"]
    [every] = Predictor.load(store, trained).predict(text)
    assert len(every.entities) == len(read_answer(every.output)) > 0
    weakest = min(one.probability for one in every.entities)
    ref = train(store, recipe(base), threshold=weakest + 1e-6)
    predictor = Predictor.load(store, ref)
    assert predictor.adapter.threshold == weakest + 1e-6
    [some] = predictor.predict(text)
    assert some.entities == every.entities
    kept = {one.entity for one in every.entities if one.probability > weakest + 1e-6}
    assert set(read_answer(some.output)) == kept < set(read_answer(every.output))


def test_equal_input_gives_equal_weights(base: Path, store: FsspecArtifacts) -> None:
    assert train(store, recipe(base)) == train(store, recipe(base))


def test_held_to_its_parent_averaged_and_blended(
    base: Path, store: FsspecArtifacts, trained: ArtifactRef
) -> None:
    kept = recipe(base, congruence=1.0, averaged=0.5)
    blend = replace(kept, strategy=replace(kept.strategy, blended=0.3))
    rows = store.put(dump_rows(DomainRow(r.id, r.text, str(r.target)) for r in ROWS), name="rows")
    candidates = [CandidateSpec(id="kept", recipe=kept), CandidateSpec(id="blend", recipe=blend)]
    spec = TrainSpec(task=TASK, training_set=rows, parent=trained, candidates=tuple(candidates))
    outcomes = train_together(spec, candidates, "job", store.uri, threads=1)
    for outcome in outcomes:
        assert isinstance(outcome, TrainedCandidate), outcome
        found = Predictor.load(store, outcome.adapter).predict([row.text for row in ROWS])
        assert [one.output for one in found] == [row.target for row in ROWS]
    assert [one.recipe for one in outcomes] == [kept, blend]


def test_soft_targets_are_the_parent_s_where_it_is_right(
    store: FsspecArtifacts, trained: ArtifactRef
) -> None:
    wrong = replace(ROWS[0], target="[]")
    right, nothing = soft_targets(store, trained, [ROWS[0], wrong], TASK)
    assert right.shape == (4, 5)
    assert right.sum(-1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    assert nothing.sum().item() == 0.0


def test_a_model_of_words_embeds_and_has_no_label_probabilities(
    store: FsspecArtifacts, trained: ArtifactRef
) -> None:
    rows = store.put(dump_rows(DomainRow(r.id, r.text, "") for r in ROWS[:5]), name="texts.jsonl")
    done = run_embed(EmbedSpec(adapter=trained, texts=rows), store)
    assert done.probabilities is None
    assert done.embeddings


Spoilt = Callable[[Row], Row]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda row: replace(row, target="B-person O"), "is no list of entities"),
        (lambda row: replace(row, target='[{"start":0,"end":3,"type":"dog"}]'), "'dog' is not one"),
        (lambda row: replace(row, text="ada"), "behind the text"),
    ],
)
def test_a_row_that_cannot_be_learned_is_named(base: Path, spoil: Spoilt, said: str) -> None:
    rows = [*ROWS[:3], replace(spoil(ROWS[0]), id="the ninth")]
    with pytest.raises(BadInput, match=r"row 'the ninth' .'.*'.: ") as refused:
        lesson_of(base, rows)
    assert said in str(refused.value)


def test_rows_without_words_teach_nothing(base: Path) -> None:
    with pytest.raises(BadInput, match="none of 1 rows has a word"):
        lesson_of(base, [Row("1", " ", "[]")])


def lesson_of(base: Path, rows: list[Row]) -> None:
    how = recipe(base)
    prepare(rows, TASK, how, load_tokenizer(base), soft=None, on=torch.device("cpu"))


def test_the_head_of_a_saved_model_is_bio(store: FsspecArtifacts, trained: ArtifactRef) -> None:
    names = load(store, trained).model.config.id2label
    assert list(names.values()) == ["O", "B-city", "I-city", "B-person", "I-person"]
