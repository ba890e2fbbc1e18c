"""A chat model proposes what a run trains next; what it may not propose leaves the rules' plan."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from services.controller.domain.advice import ADVICE
from services.controller.domain.advice_answers import Configuration
from services.controller.domain.run import Run
from services.controller.domain.run_log import run_log
from shared.chat.ports import ChatCall, ChatRejected
from shared.events import IterationRequested, RunClosed
from tests.fakes.chat import RecordedChat, Reply, said
from tests.flow.conftest import House, built_house
from tests.flow.test_chat_model import answers
from tests.flow.test_loop import improve

# No target is reached, and none is retrained: the search goes on until its iterations are used.
SEARCHING: dict[str, Any] = {"target": 1.0, "refit": False, "max_iterations": 3}
REASON = "Smaller steps, since 1.1 is nearly right"


def configured(**more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(Configuration.model_fields), "starts_from": "1.1", **more}


def proposing(**more: Any) -> RecordedChat:
    """It advises the search, and fails whatever else it is asked."""
    move = {
        "move": "tune",
        "data_of": "1.1",
        "data": {"shares": None, "size": None, "surgical": None, "noisy": None},
        "configurations": [configured(learning_rate=0.0004), configured(epochs=17, lora_rank=64)],
        "reason": REASON,
    }

    def answer(call: ChatCall) -> Reply:
        if call.schema_name == "propose_move":
            return said(move | more)
        return ChatRejected("asked for advice only", every=False)

    return RecordedChat(answer)


async def searched(house: House) -> Run:
    await improve(house)
    await house.run_loops(rounds=12)
    assert house.dead == []
    assert len(house.of(RunClosed)) == 1
    [document] = await house.documents.find("runs", {})
    return TypeAdapter(Run).validate_python(document["state"])


def asked(model: RecordedChat) -> list[ChatCall]:
    return [call for call in model.calls if call.schema_name == "propose_move"]


async def test_a_proposed_move_is_trained_and_told(tmp_path: Path) -> None:
    model = proposing()
    async with built_house(tmp_path, chat=model, **SEARCHING) as house:
        run = await searched(house)
        calls = house.documents.collections["chat_calls"].values()
        [request] = [e for e in house.of(IterationRequested) if e.iteration == 2]
    assert [recipe.hyperparameters.learning_rate for recipe in request.recipes] == [4e-4, 1e-3]
    told = run_log(run)
    assert f"iteration 2, tune: proposed by the chat model: {REASON}" in told
    assert "changed of 1.1: epochs 8 → 17, lora rank 16 → 64" in told
    # Proposed again it is no news: the rules go on.
    assert "the chat model's move was not taken: lora r16 lr0.0004 ×8 was tried" in told
    advised = [call for call in calls if call["prompt"] == ADVICE.name]
    assert [call["outcome"] for call in advised] == ["answered", "answered"]
    assert {call["run_id"] for call in advised} == {run.id}
    assert len(asked(model)) == 2


async def test_rubbish_is_refused_and_the_rules_go_on(tmp_path: Path) -> None:
    rubbish = proposing(configurations=[configured(epochs=5_000), configured(epochs=2)])
    async with built_house(tmp_path / "advised", chat=rubbish, **SEARCHING) as advised:
        run = await searched(advised)
    async with built_house(tmp_path / "alone", **SEARCHING) as alone:
        by_rules = await searched(alone)
    assert "not taken: epochs=5000: must lie between 1 and 20" in run_log(run)
    assert "proposed by the chat model" not in run_log(run)
    trained = [(one.data, one.recipes, one.move) for one in run.iterations]
    assert trained == [(one.data, one.recipes, one.move) for one in by_rules.iterations]


async def test_a_handler_that_died_before_its_decision_is_made_up_for(tmp_path: Path) -> None:
    async with built_house(tmp_path, **SEARCHING) as house:
        run = await searched(house)
        [document] = await house.documents.find("runs", {})
        first, _, _ = run.iterations
        waiting = document["state"]["state"] | _asked_for(document, first.iteration)
        undecided = document["state"] | {
            "state": waiting,
            "iterations": document["state"]["iterations"][:1],
        }
        await house.documents.replace("runs", {**document, "state": undecided})
        await house.documents.insert("active_runs", {"_id": run.model, "run_id": run.id})
        await house.run_loops(rounds=3)
        requests = [e for e in house.of(IterationRequested) if e.iteration == 2]
    assert len({request.id for request in requests}) == 1
    assert len(requests) == 2


def _asked_for(document: dict[str, Any], iteration: int) -> dict[str, Any]:
    outcome = document["state"]["iterations"][iteration - 1]
    kept = {name: outcome[name] for name in ("data", "recipes", "move", "reason", "origins")}
    return {"iteration": iteration, "kind": "iterating", **kept}


async def test_without_time_to_answer_it_is_not_asked(tmp_path: Path) -> None:
    model = RecordedChat(answers)
    async with built_house(tmp_path, chat=model, advice_seconds=0, **SEARCHING) as house:
        await searched(house)
    assert asked(model) == []
