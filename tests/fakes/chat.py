"""The ChatModel port from recordings: what a model answered is played back."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from shared.chat.ports import ChatCall, ChatReply
from shared.domain.chat_calls import Outcome

Reply = ChatReply | BaseException
Answers = Callable[[ChatCall], Reply]


def said(answer: Any, *, tokens: tuple[int, int] | None = (100, 20)) -> ChatReply:
    """A reply that ended by itself; anything but a text is written as JSON."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return ChatReply(text, Outcome.ANSWERED, *(tokens or (None, None)))


class RecordedChat:
    """Plays replies back in order, the last one again and again, or asks a function for each."""

    name = "recorded"

    def __init__(self, replies: Sequence[Reply] | Answers) -> None:
        self._replies = replies
        self.calls: list[ChatCall] = []
        self.closed = False

    async def complete(self, call: ChatCall) -> ChatReply:
        self.calls.append(call)
        if callable(self._replies):
            reply = self._replies(call)
        else:
            reply = self._replies[min(len(self.calls), len(self._replies)) - 1]
        if isinstance(reply, BaseException):
            raise reply
        return reply

    async def aclose(self) -> None:
        self.closed = True
