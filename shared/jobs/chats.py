"""Requests and answers as the tokens of a chat, the same in training and in serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.domain.answer_form import TEMPLATES, AnswerForm
from shared.errors import BadInput
from shared.jobs.classifiers import Tokenizer

# Found again in what a template makes of it; no template has it by itself.
_SAID = "⟦said⟧"


@dataclass(frozen=True, slots=True)
class Chat:
    """One way of asking: a tokenizer, a task's form, a system prompt.

    ``lead`` is what the template writes before every answer, such as a blank; ``end`` is the token
    that an answer is taught to end with, and any of ``ends`` ends one.
    """

    tokenizer: Any
    form: AnswerForm
    system_prompt: str
    max_tokens: int
    lead: str
    end: int
    ends: tuple[int, ...]

    @property
    def room(self) -> int:
        """Tokens of a request that leave room for the longest answer."""
        return self.max_tokens - self.form.answer_tokens

    def asked(self, text: str) -> list[int]:
        """Token ids of a request, however long."""
        return self._ids(_rendered(self.tokenizer, self.form, self.system_prompt, text))

    def prompt(self, text: str) -> list[int]:
        """Token ids of a request; a text that leaves no room for an answer is cut at its end.

        Raises BadInput when not even an empty text leaves room.
        """
        room, ids = self.room, self.asked(text)
        words = self._ids(text) if len(ids) > room else []
        while len(ids) > room:
            # What is cut from the text is not always cut from the whole: joints tokenise anew.
            words = words[: max(0, len(words) - (len(ids) - room))]
            ids = self.asked(self.tokenizer.decode(words))
            if not words and len(ids) > room:
                raise BadInput(
                    f"the system prompt and the chat template take {len(ids)} tokens, but "
                    f"max_tokens={self.max_tokens} leaves {room} beside an answer of "
                    f"{self.form.answer_tokens}: raise max_tokens or shorten the prompt or "
                    "answer_tokens; max_tokens counts no further than the model has positions"
                )
        return ids

    def answer(self, said: str) -> list[int]:
        """Token ids of an answer with its end, one more than ``answer_tokens`` at most.

        Raises BadInput for a longer one.
        """
        ids = self._ids(self.lead + said.strip())
        if len(ids) > self.form.answer_tokens:
            raise BadInput(
                f"its answer has {len(ids)} tokens, but answer_tokens={self.form.answer_tokens}: "
                "shorten the answer, leave the row out, or raise answer_tokens in task.json"
            )
        return [*ids, self.end]

    def read(self, ids: Sequence[int]) -> str:
        """The text of a written answer: up to its end, without special tokens and blanks."""
        kept = next((at for at, token in enumerate(ids) if token in self.ends), len(ids))
        return str(self.tokenizer.decode(list(ids[:kept]), skip_special_tokens=True)).strip()

    def _ids(self, text: str) -> list[int]:
        # The template writes the special tokens.
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def open_chat(
    tokenizer: Tokenizer, form: AnswerForm, *, system_prompt: str, max_tokens: int
) -> Chat:
    """The chat of a task. Raises BadInput for a template that is missing or does not fit."""
    asked = _rendered(tokenizer, form, system_prompt, "?")
    whole = _rendered(tokenizer, form, system_prompt, "?", said=_SAID)
    if not whole.startswith(asked) or _SAID not in whole:
        raise BadInput(
            "the chat template does not write an answer right behind its generation prompt: "
            "declare another chat_template for the task"
        )
    lead, _, behind = whole[len(asked) :].partition(_SAID)
    end, ends = _ends(tokenizer, behind)
    return Chat(tokenizer, form, system_prompt, max_tokens, lead, end, ends)


def _ends(tokenizer: Any, behind: str) -> tuple[int, tuple[int, ...]]:
    """(the token an answer is taught to end with, all that end one).

    It is the special token that the template writes behind an answer, else the tokenizer's end.
    """
    ids: list[int] = tokenizer(behind, add_special_tokens=False)["input_ids"] if behind else []
    stop: int | None = tokenizer.eos_token_id
    if ids and ids[0] in _special(tokenizer):
        return ids[0], tuple(sorted({ids[0], *([] if stop is None else [stop])}))
    if stop is None:
        raise BadInput(
            "neither the chat template nor the tokenizer has a token that ends an answer: "
            "declare a chat_template that ends answers with a special token"
        )
    return stop, (stop,)


def _special(tokenizer: Any) -> set[int]:
    added = tokenizer.added_tokens_decoder.items()
    return {*tokenizer.all_special_ids, *(number for number, token in added if token.special)}


def _rendered(
    tokenizer: Any, form: AnswerForm, system_prompt: str, text: str, *, said: str | None = None
) -> str:
    from jinja2 import TemplateError

    if form.template is None and not tokenizer.chat_template:
        raise BadInput(
            "the base model brings no chat template: declare one as the task's chat_template, "
            f"{', '.join(TEMPLATES)} or Jinja text"
        )
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    messages.append({"role": "user", "content": text})
    if said is not None:
        messages.append({"role": "assistant", "content": said})
    try:
        return str(
            tokenizer.apply_chat_template(
                messages,
                chat_template=form.template,
                tokenize=False,
                add_generation_prompt=said is None,
            )
        )
    except TemplateError as error:
        raise BadInput(f"the chat template cannot be filled: {error}") from error
