"""Training, saving and loading a real MiniLM, without Ray."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import Row as DomainRow
from shared.domain.rows import dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput, DigestMismatch
from shared.job_specs import CandidateSpec, FailedCandidate, TrainedCandidate, TrainSpec
from shared.jobs.rows import Row

pytestmark = pytest.mark.connected

BASE = "sentence-transformers/all-MiniLM-L6-v2"
TASK = Task(TaskKind.CLASSIFICATION, ("alarm", "music", "weather"))
PHRASES = {
    "alarm": ("wake me at {}", "set an alarm for {}", "alarm at {} please"),
    "music": ("play song number {}", "put on track {}", "i want to hear album {}"),
    "weather": ("will it rain at {}", "forecast for {}", "how warm is it at {}"),
}
ROWS = [
    Row(f"{label}-{form}-{hour}", form.format(hour), label)
    for label, forms in PHRASES.items()
    for form in forms
    for hour in range(1, 6)
]
UNSEEN = ["play the next track", "is it going to rain tonight", "alarm tomorrow at seven"]
EXPECTED = ["music", "weather", "alarm"]


def recipe(method: Method, *, learning_rate: float) -> Recipe:
    return Recipe(
        Hyperparameters(BASE, learning_rate, epochs=4, batch_size=8, lora_rank=8), Strategy(method)
    )


RECIPES = [recipe(Method.LORA, learning_rate=2e-3), recipe(Method.FULL, learning_rate=2e-4)]


@pytest.fixture
def store(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts(str(tmp_path))


def train(
    store: FsspecArtifacts, how: Recipe, parent: ArtifactRef | None = None
) -> tuple[ArtifactRef, float]:
    from shared.jobs.checkpoints import describe, save
    from shared.jobs.congruence import soft_targets
    from shared.jobs.fit import fit

    steps: list[int] = []
    fitted = fit(
        ROWS,
        TASK,
        how,
        report=lambda step, _steps, _loss: steps.append(step),
        due=lambda: True,
        soft=soft_targets(store, parent, ROWS, TASK) if parent else None,
    )
    assert steps == list(range(1, len(steps) + 1))
    adapter = describe(TASK, how, store.put(b"rows", name="rows.jsonl"))
    ref = save(store, adapter, fitted.model, fitted.tokenizer, name="candidate")
    return ref, fitted.final_loss


@pytest.mark.parametrize("how", RECIPES, ids=lambda how: how.strategy.method.value)
def test_trained_saved_loaded(store: FsspecArtifacts, how: Recipe) -> None:
    from shared.jobs.predict import Predictor

    ref, loss = train(store, how)
    predictor = Predictor.load(store, ref)
    found = predictor.predict(UNSEEN)
    assert loss < 0.7
    assert [one.output for one in found] == EXPECTED
    assert all(1 / 3 <= one.confidence <= 1 for one in found)
    assert predictor.predict([]) == []
    again = Predictor.load(store, ref).predict(UNSEEN[::-1])
    assert again[::-1] == found
    assert predictor.adapter.recipe == how


@pytest.mark.parametrize("how", RECIPES, ids=lambda how: how.strategy.method.value)
def test_equal_input_gives_equal_weights(store: FsspecArtifacts, how: Recipe) -> None:
    assert train(store, how) == train(store, how)


@pytest.mark.parametrize("how", RECIPES, ids=lambda how: how.strategy.method.value)
def test_held_to_its_parent_and_averaged(store: FsspecArtifacts, how: Recipe) -> None:
    from shared.jobs.predict import Predictor

    parent, _ = train(store, how)
    strategy = Strategy(how.strategy.method, congruence=1.0, averaged=0.5, orders=2)
    kept = Recipe(how.hyperparameters, strategy)
    ref, loss = train(store, kept, parent)
    predictor = Predictor.load(store, ref)
    assert [one.output for one in predictor.predict(UNSEEN)] == EXPECTED
    assert predictor.adapter.recipe == kept
    assert train(store, kept, parent) == (ref, loss)
    assert train(store, kept)[0] != ref


def test_soft_targets_are_the_parent_s_where_it_is_right_and_nothing_elsewhere(
    store: FsspecArtifacts,
) -> None:
    from shared.jobs.congruence import soft_targets

    parent, _ = train(store, RECIPES[1])
    asked = [Row("1", UNSEEN[0], "music"), Row("2", UNSEEN[1], "alarm")]
    found = soft_targets(store, parent, asked, TASK)
    assert found[0].sum().item() == pytest.approx(1.0, abs=1e-3)
    assert found[0].argmax().item() == TASK.labels.index("music")
    assert found[1].sum().item() == 0.0


def test_a_parent_with_other_labels_gives_no_soft_targets(store: FsspecArtifacts) -> None:
    from shared.jobs.congruence import soft_targets

    parent, _ = train(store, RECIPES[1])
    grown = Task(TaskKind.CLASSIFICATION, ("alarm", "music", "news", "weather"))
    with pytest.raises(BadInput, match="train without congruence"):
        soft_targets(store, parent, ROWS, grown)


@pytest.fixture
def training_process() -> Iterator[None]:
    """Undoes what a training sets for its whole process."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("training_process")
def test_one_training_gives_a_candidate_and_its_blend_with_the_parent(
    store: FsspecArtifacts,
) -> None:
    import torch

    from shared.jobs.checkpoints import load
    from shared.jobs.train import train_together

    parent, _ = train(store, RECIPES[0])
    plain = RECIPES[1]
    blend = replace(plain, strategy=replace(plain.strategy, blended=0.3))
    candidates = [CandidateSpec(id="plain", recipe=plain), CandidateSpec(id="blend", recipe=blend)]
    rows = store.put(dump_rows(DomainRow(r.id, r.text, str(r.target)) for r in ROWS), name="rows")
    spec = TrainSpec(task=TASK, training_set=rows, parent=parent, candidates=tuple(candidates))
    outcomes = train_together(spec, candidates, "job", store.uri, threads=1)
    assert [one.id for one in outcomes] == ["plain", "blend"]
    trained = [one for one in outcomes if isinstance(one, TrainedCandidate)]
    assert [one.train_seconds > 0 for one in trained] == [True, False]
    whole, mixed, old = (
        load(store, ref).model.state_dict()
        for ref in (trained[0].adapter, trained[1].adapter, parent)
    )
    for name, weights in mixed.items():
        if weights.is_floating_point():
            expected = 0.7 * whole[name] + 0.3 * old[name]
            torch.testing.assert_close(weights, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.usefixtures("training_process")
def test_what_does_not_blend_fails_alone(store: FsspecArtifacts) -> None:
    from shared.jobs.train import train_together

    plain = RECIPES[1]
    blend = replace(plain, strategy=replace(plain.strategy, blended=0.3))
    candidates = [CandidateSpec(id="plain", recipe=plain), CandidateSpec(id="blend", recipe=blend)]
    rows = store.put(dump_rows(DomainRow(r.id, r.text, str(r.target)) for r in ROWS), name="rows")
    spec = TrainSpec(task=TASK, training_set=rows, candidates=tuple(candidates))
    first, second = train_together(spec, candidates, "job", store.uri, threads=1)
    assert isinstance(first, TrainedCandidate)
    assert isinstance(second, FailedCandidate)
    assert "names no parent" in second.reason


def test_a_flipped_byte_is_refused_by_name(store: FsspecArtifacts) -> None:
    from shared.jobs.predict import Predictor

    ref, _ = train(store, RECIPES[0])
    (file,) = Path(ref.uri.removeprefix("file://")).glob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(DigestMismatch, match=r"adapter_model\.safetensors"):
        Predictor.load(store, ref)


def test_a_target_that_is_no_label_is_bad_input(store: FsspecArtifacts) -> None:
    from shared.jobs.fit import fit

    with pytest.raises(BadInput, match="news"):
        fit(
            [*ROWS, Row("x", "what happened", "news")],
            TASK,
            RECIPES[0],
            report=lambda *_: None,
            due=lambda: False,
        )
