"""A model whose answers a chat model grades: refused without one, promoted by its word with one."""

from pathlib import Path
from typing import Any

from shared.chat.ports import ChatCall
from shared.domain.answer_form import AnswerForm, Scorer
from shared.domain.rows import Row
from shared.domain.tasks import Task, TaskKind
from shared.domain.traces import Verdict
from shared.events import FeedbackGiven, ModelPromoted, RunClosed
from tests.fakes.chat import RecordedChat, Reply, said
from tests.flow.conftest import MODEL, House, built_house, trace
from tests.flow.rows import rows_of

TASK = Task(TaskKind.GENERATION, (), AnswerForm(scorer=Scorer.JUDGE, chat_template="plain"))
CHAT: dict[str, Any] = {"llm_base_url": "http://nowhere/v1", "llm_model": "recorded"}


def worded(rows: list[Row]) -> list[Row]:
    """No two right answers are the same text, so only a judge sees that one serves for another."""
    return [Row(r.id, r.text, f"{r.target} desk, case {r.id[:8]}") for r in rows]


def by_desk(call: ChatCall) -> Reply:
    """Right when known answer and answer to grade name the same desk."""
    named = [line.split()[0] for line in call.user.splitlines() if " desk, case " in line]
    return said({"reason": "By the desk.", "right": len(named) == 2 and named[0] == named[1]})


async def served(house: House, rows: list[Row], outputs: list[str]) -> None:
    for row, output in zip(rows, outputs, strict=True):
        wrong = output.split()[0] != row.target.split()[0]
        await house.publish(trace(row, output, reference=None))
        await house.publish(
            FeedbackGiven(
                id=f"of-{row.id}",
                model=MODEL,
                trace_id=row.id,
                verdict=Verdict.FAIL if wrong else Verdict.PASS,
                corrected_output=row.target,
            )
        )


async def test_a_chat_model_s_word_ends_in_a_promotion(tmp_path: Path) -> None:
    model = RecordedChat(by_desk)
    async with built_house(tmp_path, chat=model, **CHAT) as house:
        registered = await house.deploy(worded(rows_of(0, 12)), (), task=TASK)
        asked = worded(rows_of(0, 30, start=100) + rows_of(1, 25) + rows_of(2, 25))
        outputs = house.compute.load(registered.adapter).predict([row.text for row in asked])
        await served(house, asked, outputs)
        await house.run_loops()
        assert house.dead == []
        [closed] = house.of(RunClosed)
        assert closed.outcome == "promoted", closed.reason
        _, promoted = house.of(ModelPromoted)
        assert promoted.deployed.version.heldout_score > 0.8
    graded = [call.user for call in model.calls if call.schema_name == "grade_answer"]
    assert graded
    assert len(graded) == len(set(graded))


async def test_without_a_chat_model_it_is_not_taken(house: House) -> None:
    await house.deploy(worded(rows_of(0, 12)), (), task=TASK)
    [dead] = house.dead
    assert "set PIONEER_LLM_BASE_URL and PIONEER_LLM_MODEL" in dead.error
    assert house.of(ModelPromoted) == []
