"""Predictions of a trained model, for evaluation jobs and for small serving programs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from shared.domain.answer_form import AnswerForm
from shared.domain.artifacts import ArtifactRef
from shared.domain.bio import bio_tags, entities_of
from shared.domain.entities import SeenEntity, write_answer
from shared.domain.tasks import Head
from shared.jobs.batches import inference_batches
from shared.jobs.chats import open_chat
from shared.jobs.checkpoints import Loaded, load
from shared.jobs.classifiers import encode, padded
from shared.jobs.devices import device, mixed_precision
from shared.jobs.words import word_probabilities, words_of
from shared.jobs.writing import written
from shared.ports import ArtifactStore
from shared.tasks import behaviour

# Small batches stay in the cache of a CPU core; a GPU wants more at once.
_TOKENS_IN_A_BATCH = {"cpu": 512, "cuda": 16384}
_ROWS_IN_A_BATCH = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """``output`` is an answer of the task, ``confidence`` its probability.

    ``entities`` are all that a model of words saw, named in the output or below its threshold.
    """

    output: str
    confidence: float
    entities: tuple[SeenEntity, ...] = ()


class Predictor:
    """One loaded model; ``predict`` is safe to call from one thread at a time."""

    def __init__(self, loaded: Loaded) -> None:
        self.adapter = loaded.adapter
        self._max_tokens = loaded.max_tokens
        self._device = device()
        self._model = loaded.model.to(self._device).eval()
        self._tokenizer = loaded.tokenizer

    @classmethod
    def load(cls, artifacts: ArtifactStore, ref: ArtifactRef) -> "Predictor":
        """Load an adapter, every byte checked. Raises PermanentError when it is broken."""
        return cls(load(artifacts, ref))

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction for each text, in order."""
        head = behaviour(self.adapter.task).head
        if head is Head.WORDS:
            return self._tag(texts)
        if head is Head.NEXT:
            return self._write(texts)
        labels = self.adapter.task.labels
        found = [Prediction(labels[0], 0.0)] * len(texts)
        if not texts:
            return found
        ids = encode(self._tokenizer, texts, max_tokens=self._max_tokens)
        lengths = [len(row) for row in ids]
        budget = _TOKENS_IN_A_BATCH[self._device.type]
        for batch in inference_batches(lengths, tokens=budget, rows=_ROWS_IN_A_BATCH):
            for index, (confidence, label) in zip(
                batch, self._classify([ids[i] for i in batch]), strict=True
            ):
                found[index] = Prediction(labels[label], confidence)
        return found

    def _write(self, texts: Sequence[str]) -> list[Prediction]:
        adapter = self.adapter
        chat = open_chat(
            self._tokenizer,
            adapter.task.form or AnswerForm(),
            system_prompt=adapter.system_prompt,
            max_tokens=self._max_tokens,
        )
        return [Prediction(*found) for found in written(self._model, chat, texts)]

    def _tag(self, texts: Sequence[str]) -> list[Prediction]:
        adapter = self.adapter
        read = word_probabilities(
            self._model,
            self._tokenizer,
            texts,
            task=adapter.task,
            max_tokens=self._max_tokens,
        )
        tags = bio_tags(adapter.task.labels)
        return [
            _named(text, words, tags, adapter.threshold) if len(words) else _NOTHING
            for text, words in zip(texts, read, strict=True)
        ]

    @torch.inference_mode()
    def _classify(self, rows: list[list[int]]) -> list[tuple[float, int]]:
        batch = padded(rows, pad=self._tokenizer.pad_token_id or 0, on=self._device)
        # The precision it was trained in: three times faster than float32 on a CPU.
        with mixed_precision(self._device):
            logits = self._model(**batch).logits
        confidence, label = logits.float().softmax(-1).max(-1)
        return list(zip(confidence.tolist(), label.tolist(), strict=True))


_NOTHING = Prediction(write_answer((), ""), 1.0)


def _named(
    text: str, probabilities: torch.Tensor, tags: Sequence[str], threshold: float
) -> Prediction:
    """The answer that [words, tags] give a text; it is as sure as its least sure word."""
    words = words_of(text)
    sure = probabilities.amax(-1).tolist()
    best: list[int] = probabilities.argmax(-1).tolist()
    chosen = [tags[at] for at in best]
    seen = [
        SeenEntity(
            entity,
            min(
                p
                for p, (start, end) in zip(sure, words, strict=True)
                if entity.start <= start and end <= entity.end
            ),
        )
        for entity in entities_of(chosen, words)
    ]
    kept = [one.entity for one in seen if one.probability >= threshold]
    return Prediction(write_answer(kept, text), min(sure), tuple(seen))
