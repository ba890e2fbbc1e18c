"""How causal language models learn to write answers, and write them: batches padded on the left.

Vocabularies are large: logits are computed where an answer stands, and nowhere else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from shared.domain.answer_form import AnswerForm, worded
from shared.domain.pipeline import Recipe
from shared.domain.tasks import Task
from shared.domain.tested_answers import taught
from shared.errors import BadInput
from shared.jobs.batches import inference_batches, within_memory
from shared.jobs.chats import Chat, open_chat
from shared.jobs.classifiers import Tokenizer
from shared.jobs.devices import mixed_precision
from shared.jobs.rows import Row, told_of_cut
from shared.tasks import behaviour

# Logits of 262,144 words in float32 with their gradient: 2 MB and more for each token.
_LOGITS_AT_ONCE = {"cpu": 256, "cuda": 4_096}
_TOKENS_IN_A_BATCH = {"cpu": 2_048, "cuda": 65_536}
_ROWS_IN_A_BATCH = 256
# A target that no loss is asked of: where another row's answer is longer.
_NOT_ASKED = -100


@dataclass(frozen=True, slots=True)
class AnswerLesson:
    """Requests with their answers; ``answers``: the last tokens of each item, to be learned.

    ``usual`` tokens are in an answer: every token counts the same, whatever answer it is in.
    """

    ids: Sequence[list[int]]
    answers: Sequence[list[int]]
    usual: float
    pad: int
    warning: str

    def passes(self, batch: Sequence[int], *, tokens: int, on: torch.device) -> Iterator[list[int]]:
        for part in within_memory(batch, self.ids, tokens=tokens):
            yield from within_memory(part, self.answers, tokens=_LOGITS_AT_ONCE[on.type])

    def inputs(self, part: Sequence[int], *, on: torch.device) -> dict[str, Any]:
        longest = max(len(self.answers[i]) for i in part)
        found = padded_left([self.ids[i] for i in part], pad=self.pad, on=on)
        end = found["input_ids"].shape[1]
        # A token is told by the logits of the one before it.
        told = torch.arange(end - longest - 1, end - 1, device=on)
        return found | {"logits_to_keep": told, "use_cache": False}

    def loss(self, logits: torch.Tensor, part: list[int]) -> torch.Tensor:
        rows = [self.answers[i] for i in part]
        longest = max(map(len, rows))
        if logits.shape[1] != longest:
            raise BadInput(
                f"the model gave {logits.shape[1]} positions where {longest} were asked for: its "
                "architecture does not know logits_to_keep, choose another base model"
            )
        right = [[_NOT_ASKED] * (longest - len(row)) + row for row in rows]
        return _summed(logits, torch.tensor(right, device=logits.device)) / self.usual

    def start(self, model: Any) -> None:
        """A head that writes is pre-trained."""


def answer_lesson(rows: Sequence[Row], task: Task, recipe: Recipe, tokenizer: Tokenizer) -> Any:
    """The lesson of these rows. Raises BadInput naming the row that cannot be learned."""
    if recipe.strategy.congruence:
        raise BadInput(
            f"congruence={recipe.strategy.congruence:g}: a model that writes has no soft targets, "
            "train it without congruence"
        )
    h = recipe.hyperparameters
    chat = open_chat(
        tokenizer,
        task.form or AnswerForm(),
        system_prompt=h.system_prompt,
        max_tokens=h.max_tokens,
    )
    answers = [_answer(row, task, recipe, chat) for row in rows]
    asked = [chat.asked(row.text) for row in rows]
    cut = {at: len(ids) for at, ids in enumerate(asked) if len(ids) > chat.room}
    for at in cut:
        asked[at] = chat.prompt(rows[at].text)
    return AnswerLesson(
        ids=[[*ids, *said] for ids, said in zip(asked, answers, strict=True)],
        answers=answers,
        usual=sum(map(len, answers)) / len(answers),
        pad=pad_of(tokenizer, chat),
        warning=told_of_cut(rows, cut, chat.room),
    )


@torch.inference_mode()
def written(model: Any, chat: Chat, texts: Sequence[str]) -> list[tuple[str, float]]:
    """For each text the answer that is likeliest word by word, and its probability."""
    found = [("", 0.0)] * len(texts)
    ids = [chat.prompt(text) for text in texts]
    lengths = [len(row) + chat.form.answer_tokens for row in ids]
    budget = _TOKENS_IN_A_BATCH[model.device.type]
    for batch in inference_batches(lengths, tokens=budget, rows=_ROWS_IN_A_BATCH):
        answers = _continued(model, chat, [ids[i] for i in batch])
        for index, answer in zip(batch, answers, strict=True):
            found[index] = answer
    return found


def padded_left(rows: Sequence[list[int]], *, pad: int, on: torch.device) -> dict[str, Any]:
    """``input_ids``, ``attention_mask`` and ``position_ids`` of a batch that ends together."""
    longest = max(map(len, rows))
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return {
        "input_ids": torch.tensor([[pad] * (longest - len(row)) + row for row in rows]).to(on),
        "attention_mask": mask.to(on),
        # The first token is the first, wherever it stands.
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0).to(on),
    }


def pad_of(tokenizer: Any, chat: Chat) -> int:
    """Any token will do: it is masked."""
    return chat.end if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def _answer(row: Row, task: Task, recipe: Recipe, chat: Chat) -> list[int]:
    target = str(row.target)
    if objection := behaviour(task).objection(target, task, row.text):
        raise BadInput(f"{row.named}: {objection}")
    try:
        told = taught(target, chat.form)
        return chat.answer(worded(told, row.rationale, recipe.strategy.supervision))
    except BadInput as error:
        raise BadInput(f"{row.named}: {error}") from None


def _summed(logits: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Over logits [rows, tokens, words], whole: each slice would have a gradient as large."""
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), right.flatten(), ignore_index=_NOT_ASKED, reduction="sum"
    )


def _continued(model: Any, chat: Chat, rows: Sequence[list[int]]) -> list[tuple[str, float]]:
    from transformers import GenerationConfig, LogitsProcessorList

    pad = pad_of(chat.tokenizer, chat)
    sure: list[torch.Tensor] = []

    def listen(_: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        # All scores of a batch would take gigabytes; the chosen word is the likeliest.
        sure.append(scores.float().log_softmax(-1).amax(-1))
        return scores

    inputs = padded_left(rows, pad=pad, on=model.device)
    # It counts the positions itself, from the mask.
    del inputs["position_ids"]
    with mixed_precision(model.device):
        ids = model.generate(
            **inputs,
            generation_config=GenerationConfig(
                # One more for the end.
                max_new_tokens=chat.form.answer_tokens + 1,
                do_sample=False,
                eos_token_id=list(chat.ends),
                pad_token_id=pad,
            ),
            logits_processor=LogitsProcessorList([listen]),  # pyright: ignore[reportArgumentType]
        )
    told = ids[:, inputs["input_ids"].shape[1] :].tolist()
    steps = torch.stack(sure, dim=1).cpu()
    return [
        (chat.read(row), float(logs[: _length(row, chat)].sum().exp()))
        for row, logs in zip(told, steps, strict=True)
    ]


def _length(row: Sequence[int], chat: Chat) -> int:
    """Tokens of a written answer, its end among them."""
    return next((at + 1 for at, token in enumerate(row) if token in chat.ends), len(row))
