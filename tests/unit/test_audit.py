"""The judge audit: agreement, kappa and abstentions, with intervals that can be trusted."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from services.diagnoser.auditing import Judge, ask_again, audit_judges
from services.diagnoser.chat import ChatAdvice
from services.diagnoser.domain.audit import Compared, audit
from services.diagnoser.models import KnownModels
from shared.adapters.chat_ledger import DocumentLedger
from shared.chat.asking import Chat
from shared.chat.ports import ChatCall
from shared.domain.artifacts import ArtifactRef
from shared.domain.chat_calls import Budget, Prices
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.tasks import Task, TaskKind
from shared.domain.traces import Verdict
from shared.errors import BadSettings, UnknownThing
from tests.fakes.chat import RecordedChat, Reply, said
from tests.fakes.documents import InMemoryDocuments

P, F = Verdict.PASS, Verdict.FAIL
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def cells(pp: int, pf: int, fp: int, ff: int, abstained: int = 0) -> list[Compared]:
    return (
        [Compared(P, P)] * pp
        + [Compared(P, F)] * pf
        + [Compared(F, P)] * fp
        + [Compared(F, F)] * ff
        + [Compared(F, None)] * abstained
    )


def test_a_known_table() -> None:
    found = audit(cells(20, 5, 10, 15, abstained=10))
    assert found.agreement is not None
    assert found.kappa is not None
    assert found.agreement.value == pytest.approx(0.7)
    assert found.kappa.value == pytest.approx(0.4)
    assert (found.judged, found.abstained) == (50, 10)
    assert found.abstention == pytest.approx(1 / 6)


@given(st.tuples(*[st.integers(0, 40)] * 4), st.integers(0, 5))
def test_it_agrees_with_the_libraries(table: tuple[int, int, int, int], abstained: int) -> None:
    pairs = cells(*table, abstained=abstained)
    found = audit(pairs)
    assert (found.pass_pass, found.pass_fail, found.fail_pass, found.fail_fail) == table
    both = [(c.human, c.judge) for c in pairs if c.judge is not None]
    if not both:
        assert found.agreement is None
        assert found.kappa is None
        return
    assert found.agreement is not None
    exact = binomtest(table[0] + table[3], len(both)).proportion_ci(method="wilson")
    assert found.agreement.low == pytest.approx(exact.low, abs=1e-6)
    assert found.agreement.high == pytest.approx(exact.high, abs=1e-6)
    if len({verdict for pair in both for verdict in pair}) == 1:
        assert found.kappa is None
        return
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)))
    assert -1 <= found.kappa.low <= found.kappa.value <= found.kappa.high <= 1


def test_perfect_agreement_on_few_traces_is_not_certain() -> None:
    found = audit(cells(5, 0, 0, 5))
    assert found.kappa is not None
    assert (found.kappa.value, found.kappa.high) == (1, 1)
    assert found.kappa.low < 0.5


@pytest.mark.parametrize("table", [(0.45, 0.05, 0.1, 0.4), (0.1, 0.05, 0.1, 0.75)])
def test_the_interval_of_kappa_holds_the_truth_as_often_as_it_says(
    table: tuple[float, ...],
) -> None:
    truth = audit(cells(*(round(1000 * share) for share in table))).kappa
    rng = np.random.default_rng(0)
    hits = 0
    for sample in rng.multinomial(100, table, size=1000).tolist():
        found = audit(cells(*sample)).kappa
        assert truth is not None
        hits += found is not None and found.low <= truth.value <= found.high
    assert 0.92 <= hits / 1000 <= 0.99


def test_right_answers_are_compared_where_both_named_one() -> None:
    found = audit(
        [
            Compared(F, F, "a", "a"),
            Compared(F, F, "a", "b"),
            Compared(F, F, "a", None),
            Compared(F, P, "a", "a"),
        ]
    )
    assert (found.answers_same, found.answers_both) == (1, 2)


def trace(key: str, verdict: Verdict, corrected: str, source: str = "human") -> dict[str, Any]:
    return {
        "_id": key,
        "model": "intent",
        "input": f"text {key}",
        "output": "a",
        "verdict": verdict.value,
        "corrected": corrected,
        "source": source,
        "judged_at": NOW,
    }


async def stored() -> InMemoryDocuments:
    documents = InMemoryDocuments()
    for document in (
        trace("t1", P, "a"),
        trace("t2", F, "b"),
        trace("t3", F, "b"),
        trace("t4", F, "b", source="exact_match"),
        {**trace("t5", F, "b"), "model": "other"},
    ):
        await documents.insert("traces", document)
    version = ModelVersion(1, ArtifactRef("file:///a", "0" * 64), "base", None, None, None, None)
    task = Task(TaskKind.CLASSIFICATION, ("a", "b"))
    await KnownModels(documents).heard(DeployedModel("intent", task, version, ()), 1, NOW)
    return documents


VERDICTS: Mapping[str, Any] = {
    "t1": {"verdict": "pass", "answer": "a", "reason": ""},
    "t2": {"verdict": "fail", "answer": "b", "reason": ""},
    "t3": {"verdict": "abstain", "answer": None, "reason": ""},
}


def judge(documents: InMemoryDocuments) -> tuple[ChatAdvice, RecordedChat]:
    def answer(call: ChatCall) -> Reply:
        return said(next(v for k, v in VERDICTS.items() if f'"text {k}"' in call.user))

    model = RecordedChat(answer)
    chat = Chat(
        model,
        DocumentLedger(documents),
        clock=lambda: NOW,
        budget=Budget(10**6),
        prices=Prices(),
    )
    return ChatAdvice(chat), model


async def test_the_judge_is_asked_about_what_people_judged_and_not_told_what_they_said() -> None:
    documents = await stored()
    advice, model = judge(documents)
    assert await ask_again(documents, advice, "intent", limit=10, now=NOW) == 3
    assert not any("human" in call.user or '"fail"' in call.user for call in model.calls)
    audits = await audit_judges(documents, "intent")
    found = audits[Judge("recorded", 1)]
    assert (found.pass_pass, found.fail_fail, found.abstained) == (1, 1, 1)
    assert (found.pass_fail, found.fail_pass) == (0, 0)
    assert (found.answers_same, found.answers_both) == (1, 1)


async def test_no_more_are_asked_than_wanted() -> None:
    documents = await stored()
    advice, model = judge(documents)
    assert await ask_again(documents, advice, "intent", limit=2, now=NOW) == 2
    assert len(model.calls) == 2


async def test_what_is_missing_is_named() -> None:
    documents = await stored()
    assert await audit_judges(documents, "intent") == {}
    with pytest.raises(UnknownThing, match="human=true"):
        await audit_judges(documents, "nothing")
    with pytest.raises(BadSettings, match="PIONEER_LLM_BASE_URL"):
        await ask_again(documents, ChatAdvice(None), "intent", limit=1, now=NOW)
    advice, _ = judge(documents)
    with pytest.raises(UnknownThing, match="not registered"):
        await ask_again(documents, advice, "nothing", limit=1, now=NOW)
