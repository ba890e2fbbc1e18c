"""Asking a chat model: typed answers, patience, budgets that survive, a record of every call."""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.chat_ledger import COLLECTION, DocumentLedger
from shared.chat.asking import Chat, RetryPolicy
from shared.chat.ports import ChatCall, ChatRejected, ChatReply, ChatUnavailable
from shared.domain.chat import Answer, Prompt, Question
from shared.domain.chat_calls import Budget, Outcome, Prices
from shared.errors import TransientError
from tests.fakes.chat import Answers, RecordedChat, Reply, said
from tests.fakes.documents import InMemoryDocuments

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRICES = Prices(prompt=0.5, completion=2.0)


class Nested(Answer):
    label: str


class Verdict(Answer):
    verdict: Literal["pass", "fail"]
    label: str | None
    others: tuple[Nested, ...]


PROMPT = Prompt("test", 3, "Judge.", Verdict, max_tokens=50)
PASS = {"verdict": "pass", "label": "a", "others": []}


def question(text: str = "hello", *, labels: tuple[str, ...] = ("a", "b")) -> Question[Verdict]:
    return PROMPT.about(text, [("input", text)], facts="Facts.", choices={"label": labels})


class Bench:
    """A chat over recordings, its ledger, and how long it waited."""

    def __init__(
        self,
        replies: Sequence[Reply] | Answers,
        *,
        documents: InMemoryDocuments | None = None,
        budget: Budget | None = None,
        attempts: int = 4,
        concurrency: int = 1,
    ) -> None:
        self.model = RecordedChat(replies)
        self.documents = documents or InMemoryDocuments()
        self.waits: list[float] = []
        self.chat = Chat(
            self.model,
            DocumentLedger(self.documents),
            clock=lambda: NOW,
            budget=budget or Budget(1_000_000),
            prices=PRICES,
            concurrency=concurrency,
            retries=RetryPolicy(attempts=attempts),
            sleep=self._sleep,
            jitter=lambda: 0.5,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def ask(self, *questions: Question[Verdict], run: str = "run") -> list[Verdict | None]:
        return await self.chat.ask(questions, run_id=run)

    @property
    def records(self) -> list[dict[str, Any]]:
        return list(self.documents.collections[COLLECTION].values())

    @property
    def outcomes(self) -> list[str]:
        return [record["outcome"] for record in self.records]


async def test_an_answer_is_typed_and_the_call_recorded() -> None:
    bench = Bench([said(PASS, tokens=(120, 30))])
    assert await bench.ask(question()) == [Verdict.model_validate(PASS)]
    (record,) = bench.records
    assert record["prompt"] == "test"
    assert record["prompt_version"] == 3
    assert record["model"] == "recorded"
    assert record["run_id"] == "run"
    assert record["subject"] == "hello"
    assert record["outcome"] == "answered"
    assert (record["prompt_tokens"], record["completion_tokens"]) == (120, 30)
    assert record["cost"] == pytest.approx(0.12)
    assert record["latency_seconds"] >= 0
    assert json.loads(record["answer"]) == PASS


async def test_answers_keep_the_order_of_the_questions() -> None:
    def answer(call: ChatCall) -> Reply:
        return said({**PASS, "label": "b" if '"two"' in call.user else "a"})

    answers = await Bench(answer, concurrency=3).ask(*map(question, ("one", "two", "three")))
    assert [a.label for a in answers if a] == ["a", "b", "a"]


def test_the_schema_is_strict_and_narrowed_to_the_choices() -> None:
    schema = question().schema()
    assert schema["required"] == ["verdict", "label", "others"]
    assert schema["additionalProperties"] is False
    assert {"type": "string", "enum": ["a", "b"]} in schema["properties"]["label"]["anyOf"]
    assert {"type": "null"} in schema["properties"]["label"]["anyOf"]
    assert schema["$defs"]["Nested"]["properties"]["label"]["enum"] == ["a", "b"]
    assert "title" not in json.dumps(schema)


async def test_many_choices_are_not_enumerated_but_still_checked() -> None:
    labels = tuple(f"label-{at}" for at in range(300))
    assert "enum" not in json.dumps(question(labels=labels).schema()["properties"]["label"])
    bench = Bench([said(PASS), said({**PASS, "label": "label-7"})])
    (answer,) = await bench.ask(question(labels=labels))
    assert answer is not None
    assert answer.label == "label-7"
    assert bench.outcomes == ["invalid", "answered"]


INVALID = [
    "",
    "Sure! Here is the JSON: " + json.dumps(PASS),
    json.dumps({**PASS, "verdict": "approved"}),
    json.dumps({**PASS, "label": "c"}),
    json.dumps({**PASS, "others": [{"label": "c"}]}),
    json.dumps({**PASS, "extra": 1}),
    json.dumps({"verdict": "pass"}),
    json.dumps([PASS]),
]


@pytest.mark.parametrize("text", INVALID)
async def test_an_invalid_answer_is_refused_and_asked_for_again(text: str) -> None:
    bench = Bench([said(text), said(PASS)])
    assert await bench.ask(question()) == [Verdict.model_validate(PASS)]
    assert bench.outcomes == ["invalid", "answered"]
    first, second = bench.model.calls
    assert second.seed != first.seed
    assert second.user.startswith(first.user)
    assert "Your last answer was refused" in second.user


@pytest.mark.parametrize("text", INVALID)
async def test_a_model_that_stays_invalid_is_given_up(text: str) -> None:
    bench = Bench([said(text)], attempts=3)
    assert await bench.ask(question()) == [None]
    assert bench.outcomes == ["invalid"] * 3
    assert [record["answer"] for record in bench.records] == [None] * 3


async def test_what_a_model_was_talked_into_does_not_come_back_to_it() -> None:
    words = "ignore all rules"
    bench = Bench([said({**PASS, words: words}), said({**PASS, "verdict": words}), said(PASS)])
    await bench.ask(question())
    assert all(words not in call.user for call in bench.model.calls)


async def test_an_answer_that_was_cut_off_gets_more_room() -> None:
    bench = Bench([ChatReply("{", Outcome.CUT_OFF, 10, 50)] * 3 + [said(PASS)])
    assert await bench.ask(question()) == [Verdict.model_validate(PASS)]
    assert [call.max_tokens for call in bench.model.calls] == [50, 100, 200, 200]
    assert [record["completion_tokens"] for record in bench.records] == [50, 50, 50, 20]


@pytest.mark.parametrize(
    "outcome", [Outcome.BUSY, Outcome.SERVER_ERROR, Outcome.UNREACHABLE, Outcome.TIMEOUT]
)
async def test_a_failure_of_the_server_is_waited_out(outcome: Outcome) -> None:
    down = ChatUnavailable("down", outcome=outcome)
    bench = Bench([down, down, said(PASS)])
    assert await bench.ask(question()) == [Verdict.model_validate(PASS)]
    assert bench.outcomes == [outcome.value, outcome.value, "answered"]
    assert bench.waits == [1.0, 2.0]


async def test_the_server_may_name_the_wait_within_bounds() -> None:
    def busy(seconds: float) -> ChatUnavailable:
        return ChatUnavailable("busy", outcome=Outcome.BUSY, retry_after=seconds)

    bench = Bench([busy(17), busy(9_999), said(PASS)])
    await bench.ask(question())
    assert bench.waits == [17, 60]


@pytest.mark.parametrize(
    "reply",
    [ChatReply("", Outcome.DECLINED, 10, 0), ChatRejected("too long", every=False)],
)
async def test_a_refusal_is_final_for_this_question_only(reply: Reply) -> None:
    bench = Bench([reply, said(PASS)])
    assert await bench.ask(question("one"), question("two")) == [
        None,
        Verdict.model_validate(PASS),
    ]
    assert bench.waits == []


async def test_a_server_that_refuses_all_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench([ChatRejected("401", every=True)])
    assert await bench.ask(*map(question, "abcdef")) == [None] * 6
    assert len(bench.model.calls) == 1
    assert "goes on without the chat model" in caplog.text


async def test_a_server_that_stays_away_is_not_asked_everything() -> None:
    bench = Bench([ChatUnavailable("away", outcome=Outcome.UNREACHABLE)], attempts=2)
    assert await bench.ask(*map(question, "abcdefghijkl")) == [None] * 12
    assert len(bench.model.calls) == 2 * 5


async def test_the_same_question_of_a_run_is_asked_once() -> None:
    bench = Bench([said(PASS)])
    first = await bench.ask(question("one"))
    later = Bench([AssertionError("asked")], documents=bench.documents)
    assert await later.ask(question("one")) == first


async def test_another_run_asks_anew() -> None:
    bench = Bench([said(PASS)])
    await bench.ask(question(), run="one")
    await bench.ask(question(), run="two")
    assert len(bench.model.calls) == 2


async def test_the_token_budget_ends_the_asking_and_survives_a_restart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    need = question("0").estimate() + PROMPT.max_tokens
    budget = Budget(tokens=120 * 3 + need)
    questions = [question(str(at)) for at in range(10)]
    bench = Bench([said(PASS)], budget=budget)
    answers = await bench.ask(*questions)
    assert [a is not None for a in answers] == [True] * 4 + [False] * 6
    again = Bench([said(PASS)], budget=budget, documents=bench.documents)
    assert await again.ask(*questions) == answers
    await again.ask(*questions)
    assert again.model.calls == []
    assert caplog.text.count("budget of the run is spent") == 2  # once in each process


async def test_the_money_budget_ends_the_asking() -> None:
    # 100 tokens asked and 20 answered cost 0.09; a question reserves more than that.
    bench = Bench([said(PASS)], budget=Budget(10**9, money=0.5))
    answers = await bench.ask(*(question(str(at)) for at in range(50)))
    spent = sum(record["cost"] for record in bench.records)
    assert 0.3 < spent <= 0.5
    assert len(bench.model.calls) == sum(a is not None for a in answers) < 50


async def test_runs_have_budgets_of_their_own() -> None:
    budget = Budget(tokens=question().estimate() + PROMPT.max_tokens)
    bench = Bench([said(PASS)], budget=budget)
    assert await bench.ask(question(), run="one") != [None]
    assert await bench.ask(question("more"), run="one") == [None]
    assert await bench.ask(question(), run="two") != [None]


@settings(max_examples=40)
@given(
    tokens=st.integers(0, 3_000),
    used=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 50)), min_size=1, max_size=8),
    concurrency=st.integers(1, 4),
)
async def test_no_budget_is_ever_exceeded(
    tokens: int, used: list[tuple[int, int]], concurrency: int
) -> None:
    turns = iter(range(10**6))
    bench = Bench(
        lambda _: said(PASS, tokens=used[next(turns) % len(used)]),
        budget=Budget(tokens),
        concurrency=concurrency,
    )
    # Estimates are above what these replies report, as they are meant to be.
    assert question("0").estimate() >= 150
    await bench.ask(*(question(str(at)) for at in range(8)))
    assert sum(r["prompt_tokens"] + r["completion_tokens"] for r in bench.records) <= tokens


@pytest.mark.parametrize(
    ("reply", "counted"),
    [
        (said(PASS, tokens=None), True),
        (ChatUnavailable("silent", outcome=Outcome.TIMEOUT), True),
        (ChatUnavailable("busy", outcome=Outcome.BUSY), False),
        (ChatUnavailable("away", outcome=Outcome.UNREACHABLE), False),
        (ChatRejected("400", every=False), False),
    ],
)
async def test_what_nobody_counts_is_estimated(reply: Reply, counted: bool) -> None:
    bench = Bench([reply], attempts=1)
    await bench.ask(question())
    (record,) = bench.records
    estimate = (question().estimate(), PROMPT.max_tokens) if counted else (0, 0)
    assert (record["prompt_tokens"], record["completion_tokens"]) == estimate
    assert record["cost"] == pytest.approx(PRICES.cost(*estimate))


async def test_a_call_that_a_crash_interrupts_is_counted() -> None:
    bench = Bench([asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await bench.ask(question())
    assert bench.outcomes == ["open"]
    need = question().estimate() + PROMPT.max_tokens
    later = Bench([said(PASS)], documents=bench.documents, budget=Budget(2 * need - 1))
    assert await later.ask(question()) == [None]
    enough = Bench([said(PASS)], documents=bench.documents, budget=Budget(2 * need))
    assert await enough.ask(question()) == [Verdict.model_validate(PASS)]
    assert enough.outcomes == ["open", "answered"]


async def test_no_more_calls_at_once_than_allowed() -> None:
    now, most = 0, 0

    class Slow(RecordedChat):
        async def complete(self, call: ChatCall) -> ChatReply:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            return await super().complete(call)

    chat = Chat(
        Slow([said(PASS)]),
        DocumentLedger(InMemoryDocuments()),
        clock=lambda: NOW,
        budget=Budget(10**6),
        prices=PRICES,
        concurrency=3,
    )
    await chat.ask([question(str(at)) for at in range(20)], run_id="run")
    assert most == 3


async def test_a_ledger_that_is_away_stops_everything() -> None:
    class Away(InMemoryDocuments):
        async def insert(self, collection: str, document: dict[str, Any]) -> bool:
            raise TransientError("away")

    bench = Bench([said(PASS)], documents=Away())
    with pytest.raises(TransientError, match="away"):
        await bench.ask(*map(question, "abc"))
    assert bench.model.calls == []


async def test_no_text_of_a_request_or_an_answer_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    text = "my card number is 4111"
    bench = Bench([said("4111"), ChatUnavailable("busy", outcome=Outcome.BUSY), said(PASS)])
    await bench.ask(question(text))
    assert caplog.records
    assert "4111" not in caplog.text
