"""LoRA on a base that is held in 4-bit: trained, saved, and answering on the base as it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the compute extra is not installed")
pytest.importorskip("transformers", reason="the compute extra is not installed")
pytest.importorskip("peft", reason="the compute extra is not installed")

from shared.adapters.artifacts import FsspecArtifacts  # noqa: E402
from shared.domain.pipeline import Method, Recipe  # noqa: E402
from shared.domain.tasks import Task, TaskKind  # noqa: E402
from shared.errors import BadInput  # noqa: E402
from shared.jobs import devices, four_bit  # noqa: E402
from shared.jobs.fit import fit  # noqa: E402
from shared.jobs.models import small_model  # noqa: E402
from shared.jobs.predict import Predictor  # noqa: E402
from shared.jobs.trainable import trainable  # noqa: E402
from tests.unit.test_writing import (  # noqa: E402
    ROWS,
    TASK,
    answers,
    base,
    recipe,
    store,
    train,
)

__all__ = ["base", "store"]
CPU = torch.device("cpu")


def quiet(*_: object) -> None: ...


@pytest.fixture
def installed() -> None:
    pytest.importorskip("bitsandbytes", reason="the four-bit extra is not installed")


def small(base: Path) -> Recipe:
    return recipe(base, Method.LORA, four_bit=True)


def short(how: Recipe) -> Recipe:
    return replace(how, hyperparameters=replace(how.hyperparameters, epochs=2))


@pytest.mark.usefixtures("installed")
def test_an_adapter_of_a_small_base_answers_on_the_whole_one(
    base: Path, store: FsspecArtifacts
) -> None:
    ref = train(store, small(base))
    files = store.get_folder(ref)
    assert "adapter_model.safetensors" in files
    assert "model.safetensors" not in files
    assert answers(Predictor.load(store, ref)) == [row.target for row in ROWS]
    # Bytes alone tell that training saw other weights than float32.
    assert ref != train(store, recipe(base, Method.LORA))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("narrow", [False, True])
def test_only_the_base_is_small_and_it_stays_as_it_is(
    base: Path, monkeypatch: pytest.MonkeyPatch, narrow: bool
) -> None:
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: narrow)
    model = trainable(small_model(base, TASK, on=CPU), small(base))
    packed = {n: p for n, p in model.named_parameters() if p.dtype == torch.uint8}
    # Seven layers in each of two blocks; the vocabulary is float32, and so is what is trained.
    assert len(packed) == 14
    assert not any("lora" in name or "embed" in name or "lm_head" in name for name in packed)
    others = {p.dtype for n, p in model.named_parameters() if n not in packed}
    assert others == {torch.float32}
    before = {name: p.clone() for name, p in packed.items()}
    fitted = fit(ROWS[:4], TASK, short(small(base)), report=quiet, due=lambda: False)
    after = {n: p for n, p in fitted.model.named_parameters() if p.dtype == torch.uint8}
    assert all(torch.equal(after[name], p) for name, p in before.items())


@pytest.mark.usefixtures("installed")
def test_equal_input_gives_equal_adapters(base: Path) -> None:
    def trained() -> dict[str, Any]:
        fitted = fit(ROWS[:4], TASK, short(small(base)), report=quiet, due=lambda: False)
        return {n: p.detach() for n, p in fitted.model.named_parameters() if p.requires_grad}

    one, other = trained(), trained()
    assert all(torch.equal(other[name], found) for name, found in one.items())


def test_without_bitsandbytes_it_is_refused_in_words(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(four_bit, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match=r"needs bitsandbytes where jobs run: pip install"):
        fit(ROWS, TASK, small(base), report=quiet, due=lambda: False)


@pytest.mark.usefixtures("installed")
def test_a_device_that_cannot_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from bitsandbytes import functional

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel image is available for this device")

    monkeypatch.setattr(functional, "quantize_4bit", broken)
    with pytest.raises(BadInput, match=r"4-bit on this cpu \(no kernel image .* set PIONEER_FOUR"):
        four_bit.nf4(CPU)


def test_a_classifier_is_not_held_in_four_bits(base: Path) -> None:
    with pytest.raises(BadInput, match="only a base that writes is held in 4-bit"):
        small_model(base, Task(TaskKind.CLASSIFICATION, ("a", "b")), on=CPU)
