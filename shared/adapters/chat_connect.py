"""A chat model as the settings name it, with its ledger in the document store."""

from shared.adapters.chat_ledger import COLLECTION, DocumentLedger
from shared.adapters.chat_model import OpenAIChat
from shared.adapters.mongo import MongoDocuments
from shared.chat.asking import Chat, RetryPolicy
from shared.chat.settings import ChatSettings
from shared.ports import Clock, DocumentStore


async def index_calls(documents: MongoDocuments) -> None:
    """Create the indexes that budgets and audits read by."""
    calls = documents.collection(COLLECTION)
    await calls.ensure_index([("run_id", 1)])
    await calls.ensure_index([("prompt", 1)])


def connect_chat(settings: ChatSettings, documents: DocumentStore, clock: Clock) -> Chat | None:
    """The chat model, or None when there is none; it connects on its first use."""
    if not settings.llm_base_url or not settings.llm_model:
        return None
    key = settings.llm_api_key
    return Chat(
        OpenAIChat(
            settings.llm_base_url,
            settings.llm_model,
            api_key=key.get_secret_value() if key else None,
            timeout_seconds=settings.llm_timeout_seconds,
        ),
        DocumentLedger(documents),
        clock=clock,
        budget=settings.llm_budget,
        prices=settings.llm_prices,
        concurrency=settings.llm_concurrency,
        retries=RetryPolicy(attempts=settings.llm_attempts),
    )
