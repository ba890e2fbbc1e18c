"""``pioneer judge audit``: what a person reads."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from services.diagnoser.auditing import audit_judges
from shared.adapters.chat_ledger import DocumentLedger
from shared.cli import judge
from shared.domain.chat_calls import CallRecord, Outcome
from shared.errors import BadSettings
from tests.fakes.documents import InMemoryDocuments

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def documents(monkeypatch: pytest.MonkeyPatch) -> InMemoryDocuments:
    store = InMemoryDocuments()

    @asynccontextmanager
    async def reading() -> AsyncGenerator[InMemoryDocuments]:
        yield store

    monkeypatch.setattr(judge, "reading", reading)
    monkeypatch.delenv("PIONEER_LLM_BASE_URL", raising=False)
    monkeypatch.setattr(judge, "console", Console(width=200))
    return store


async def judged(documents: InMemoryDocuments, key: str, human: str, said: str) -> None:
    trace: dict[str, Any] = {"model": "intent", "source": "human", "output": "a", "corrected": "b"}
    await documents.insert("traces", {"_id": key, **trace, "verdict": human})
    ledger = DocumentLedger(documents)
    call = CallRecord(
        id=f"call-{key}",
        run_id="run",
        question_id=f"question-{key}",
        subject=key,
        prompt="judge-trace",
        prompt_version=1,
        model="gpt",
        attempt=1,
        at=NOW,
        outcome=Outcome.ANSWERED,
        prompt_tokens=1,
        completion_tokens=1,
        cost=0.0,
        answer=f'{{"verdict": "{said}", "answer": null, "reason": ""}}',
    )
    await ledger.open(call)
    await ledger.close(call)


def told(*arguments: str) -> str:
    result = CliRunner().invoke(judge.app, ["audit", "--model", "intent", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


async def test_agreement_kappa_and_abstentions_are_told(
    documents: InMemoryDocuments, capsys: pytest.CaptureFixture[str]
) -> None:
    for at, (human, said) in enumerate(
        [("pass", "pass")] * 4 + [("fail", "fail")] * 3 + [("fail", "pass"), ("fail", "abstain")]
    ):
        await judged(documents, f"t{at}", human, said)
    audits = await audit_judges(documents, "intent")
    judge.console.print(judge._table(audits))  # pyright: ignore[reportPrivateUsage]
    line = next(line for line in capsys.readouterr().out.splitlines() if "gpt, prompt 1" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[:2] == ["gpt, prompt 1", "9"]
    assert cells[2].startswith("88% (")
    assert cells[3].startswith("0.75 (")
    assert cells[4:7] == ["1 (11%)", "4 / 3", "1 / 0"]


def test_a_judge_that_was_never_asked_can_be(documents: InMemoryDocuments) -> None:
    trace = {"_id": "t", "model": "intent", "source": "human", "verdict": "pass"}
    documents.collections["traces"]["t"] = trace
    assert "--ask 100" in told()


def test_asking_needs_a_chat_model(documents: InMemoryDocuments) -> None:
    with pytest.raises(BadSettings, match="PIONEER_LLM_BASE_URL"):
        told("--ask", "3")
