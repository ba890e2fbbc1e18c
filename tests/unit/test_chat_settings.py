"""Settings of the chat model: complete or absent, plain addresses, silent about the key."""

import pytest

from shared.adapters.chat_connect import connect_chat
from shared.chat.settings import ChatSettings
from shared.domain.chat_calls import Budget, Prices
from shared.errors import BadSettings
from shared.parts import utc_now
from shared.settings import environment_name, load_settings
from tests.fakes.documents import InMemoryDocuments

GIVEN = {
    "PIONEER_LLM_BASE_URL": "http://llm:8000/v1/",
    "PIONEER_LLM_MODEL": "judge",
    "PIONEER_LLM_API_KEY": "hunter2",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in ChatSettings.model_fields:
        monkeypatch.delenv(environment_name(ChatSettings, field), raising=False)


def settings(monkeypatch: pytest.MonkeyPatch, **more: str) -> ChatSettings:
    for name, value in (GIVEN | more).items():
        monkeypatch.setenv(name, value)
    return load_settings(ChatSettings)


async def test_without_an_address_there_is_no_chat_model() -> None:
    assert connect_chat(load_settings(ChatSettings), InMemoryDocuments(), utc_now) is None


@pytest.mark.parametrize("name", GIVEN)
async def test_empty_variables_are_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert connect_chat(load_settings(ChatSettings), InMemoryDocuments(), utc_now) is None


async def test_with_an_address_and_a_model_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = connect_chat(settings(monkeypatch), InMemoryDocuments(), utc_now)
    assert chat is not None
    await chat.aclose()


def test_budgets_and_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        PIONEER_LLM_TOKENS_PER_RUN="1000",
        PIONEER_LLM_MONEY_PER_RUN="2.5",
        PIONEER_LLM_PROMPT_PRICE="0.1",
        PIONEER_LLM_COMPLETION_PRICE="0.4",
    )
    assert found.llm_budget == Budget(1000, 2.5)
    assert found.llm_prices == Prices(0.1, 0.4)
    assert found.llm_base_url == "http://llm:8000/v1"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("PIONEER_LLM_BASE_URL", "", "set both or neither"),
        ("PIONEER_LLM_MODEL", "", "set both or neither"),
        ("PIONEER_LLM_BASE_URL", "llm:8000/v1", "with its scheme"),
        ("PIONEER_LLM_BASE_URL", "http://me:hunter2@llm/v1", "use PIONEER_LLM_API_KEY"),
        ("PIONEER_LLM_BASE_URL", "http://llm/v1?api-key=hunter2", "use PIONEER_LLM_API_KEY"),
        ("PIONEER_LLM_MONEY_PER_RUN", "1", "set a price"),
        ("PIONEER_LLM_MONEY_PER_RUN", "0", "greater than 0"),
        ("PIONEER_LLM_CONCURRENCY", "0", "greater than or equal to 1"),
        ("PIONEER_LLM_PROMPT_PRICE", "-1", "greater than or equal to 0"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(
    name: str, value: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadSettings, match=remedy) as refused:
        settings(monkeypatch, **{name: value})
    assert name in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hunter2" not in repr(settings(monkeypatch))
