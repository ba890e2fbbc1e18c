"""The judge audit: verdicts of people, and what the chat model said of the same traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from services.diagnoser.chat import ChatAdvice
from services.diagnoser.domain.audit import Audit, Compared, audit
from services.diagnoser.domain.chat_answers import JudgeAnswer
from services.diagnoser.domain.chat_prompts import JUDGE
from services.diagnoser.models import KnownModels
from shared.adapters.chat_ledger import DocumentLedger
from shared.domain.chat_calls import CallRecord
from shared.domain.ids import derive_id
from shared.domain.traces import UnjudgedTrace, Verdict, VerdictSource
from shared.errors import BadSettings, UnknownThing
from shared.ports import DocumentStore

TRACES = "traces"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """Whose verdicts were compared: a chat model under one version of the prompt."""

    model: str
    prompt_version: int


async def audit_judges(documents: DocumentStore, model: str) -> dict[Judge, Audit]:
    """Each judge of a model's traces against the people who judged them too.

    The newest verdict on a trace counts. Raises UnknownThing when nobody judged a trace.
    """
    people = {trace["_id"]: trace for trace in await _judged_by_people(documents, model)}
    if not people:
        raise UnknownThing(
            f"no trace of model {model!r} was judged by a person: send feedback with human=true"
        )
    said: dict[Judge, dict[str, CallRecord]] = {}
    calls = await DocumentLedger(documents).calls_of(JUDGE.name)
    for call in sorted(calls, key=lambda call: call.at):
        if call.subject in people and call.answer is not None:
            said.setdefault(Judge(call.model, call.prompt_version), {})[call.subject] = call
    return {
        judge: audit([_compared(people[trace], call) for trace, call in verdicts.items()])
        for judge, verdicts in said.items()
    }


async def ask_again(
    documents: DocumentStore, advice: ChatAdvice, model: str, *, limit: int, now: datetime
) -> int:
    """Have the chat model judge traces that people judged; how many answers came.

    It is not shown their verdicts. The newest ``limit`` traces are asked about, and each day has
    a budget of its own. Raises BadSettings without a chat model, UnknownThing of a model.
    """
    if not advice.available:
        raise BadSettings("PIONEER_LLM_BASE_URL: is not set. There is no chat model to audit")
    view = await KnownModels(documents).get(model)
    if view is None:
        raise UnknownThing(f"model {model!r} is not registered: see pioneer models list")
    people = await _judged_by_people(documents, model)
    newest = sorted(people, key=lambda trace: (trace["judged_at"], trace["_id"]), reverse=True)
    traces = [UnjudgedTrace(t["_id"], t["input"], t["output"]) for t in newest[:limit]]
    day = derive_id("judge-audit", model, f"{now:%Y-%m-%d}")
    return len(await advice.judge_traces(traces, view.deployed.task, run_id=day))


async def _judged_by_people(documents: DocumentStore, model: str) -> Sequence[Document]:
    return await documents.find(TRACES, {"model": model, "source": VerdictSource.HUMAN.value})


def _compared(trace: Document, call: CallRecord) -> Compared:
    human = Verdict(trace["verdict"])
    try:
        answer = JudgeAnswer.model_validate_json(call.answer or "")
    except ValidationError:
        # Of an older version of the answer: what it would mean today is not known.
        return Compared(human, None)
    return Compared(
        human=human,
        judge=answer.on(trace["output"]),
        human_answer=trace["corrected"],
        judge_answer=answer.answer,
    )
