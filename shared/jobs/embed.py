"""Sentence embeddings and, with a deployed model, its answers: one pass when one model gives both.

Embeddings are mean-pooled last hidden states, L2-normalised. Each batch runs on one thread and the
threads share the batches, so that the numbers are the same on one core and on many.
"""

import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shared.domain.artifacts import ArtifactRef
from shared.domain.tasks import Head
from shared.job_specs import EmbedResult, EmbedSpec
from shared.jobs.base_models import base_folder
from shared.jobs.batches import inference_batches
from shared.jobs.checkpoints import load
from shared.jobs.classifiers import Tokenizer, encode, load_tokenizer, padded
from shared.jobs.devices import device, mixed_precision
from shared.jobs.rows import read_rows
from shared.jobs.weights import context_of, load_weights, not_its_own
from shared.ports import ArtifactStore
from shared.tasks import behaviour

Embeddings = NDArray[np.float32]
Probabilities = NDArray[np.float16]

# Small batches stay in the cache of a CPU core; a GPU wants more at once.
_TOKENS_IN_A_BATCH = {"cpu": 1024, "cuda": 32768}
_ROWS_IN_A_BATCH = {"cpu": 256, "cuda": 2048}
_MAX_TOKENS = 256
_TOKENISED_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model on its device. ``labels`` is 0 for one that does not answer with a label.

    ``backbone``: whether the model is a bare encoder, without a head.
    """

    model: Any
    tokenizer: Tokenizer
    max_tokens: int
    labels: int = 0
    backbone: bool = True


def run_embed(spec: EmbedSpec, artifacts: ArtifactStore) -> EmbedResult:
    """Embed, and classify when there is an adapter; store the matrices."""
    texts = [row.text for row in read_rows(artifacts, spec.texts, keys=("text",))]
    start = time.perf_counter()
    deployed = load_deployed(artifacts, spec.adapter) if spec.adapter else None
    embeddings, probabilities = read_texts(
        texts, base=load_base(spec.base_model) if spec.base_model else None, deployed=deployed
    )
    seconds = time.perf_counter() - start
    answers = deployed is not None and deployed.labels > 0
    stored = _put(artifacts, probabilities, "probabilities.npy") if answers else None
    return EmbedResult(
        embeddings=_put(artifacts, embeddings, "embeddings.npy"),
        probabilities=stored,
        inference_seconds=seconds,
    )


def load_base(name: str) -> Encoder:
    """A base model by its name, as ``base_folder`` finds it."""
    return load_encoder(base_folder(name))


def load_encoder(folder: Path) -> Encoder:
    """The encoder in a folder, without a head. Raises BadInput when it cannot be read."""
    from transformers import AutoModel

    model, told = load_weights(AutoModel, folder)
    if wrong := [key for key, *_ in told["mismatched_keys"]]:
        raise not_its_own(folder, wrong)
    longest = min(_MAX_TOKENS, context_of(model))
    return Encoder(model.to(device()).eval(), load_tokenizer(folder), longest)


def load_deployed(artifacts: ArtifactStore, adapter: ArtifactRef) -> Encoder:
    """A trained model. Raises as ``load``."""
    found = load(artifacts, adapter)
    task = found.adapter.task
    model: Any = found.model.to(device()).eval()
    if behaviour(task).head is Head.NEXT:
        # Logits over a vocabulary at every token would be thrown away.
        return Encoder(model.base_model, found.tokenizer, found.max_tokens)
    labels = len(task.labels) if behaviour(task).answers_are_labels else 0
    return Encoder(model, found.tokenizer, found.max_tokens, labels, backbone=False)


def read_texts(
    texts: Sequence[str], *, base: Encoder | None, deployed: Encoder | None
) -> tuple[Embeddings, Probabilities]:
    """(embeddings [n, dim], probabilities [n, labels]) in order; no labels without ``deployed``.

    The base model embeds if there is one, else the deployed model. Each distinct text is read once.
    """
    # Sorted, so that neither order nor repeats change which texts share a batch.
    distinct = sorted(set(texts))
    place = {text: at for at, text in enumerate(distinct)}
    order = [place[text] for text in texts]
    embeddings = probabilities = None
    if deployed:
        embeddings, probabilities = _read(deployed, distinct)
    if base:
        embeddings, nothing = _read(base, distinct)
        probabilities = nothing if probabilities is None else probabilities
    if embeddings is None or probabilities is None:
        raise ValueError("neither a base nor a deployed model: give at least one")
    return embeddings[order], probabilities[order]


def _read(encoder: Encoder, texts: Sequence[str]) -> tuple[Embeddings, Probabilities]:
    on = encoder.model.device
    ids: list[list[int]] = []
    for at in range(0, len(texts), _TOKENISED_AT_ONCE):
        part = texts[at : at + _TOKENISED_AT_ONCE]
        read = encode(encoder.tokenizer, part, max_tokens=encoder.max_tokens)
        # Some tokenizers make nothing of an empty text.
        ids += [row or [encoder.tokenizer.pad_token_id or 0] for row in read]
    embeddings = np.zeros((len(texts), encoder.model.config.hidden_size), np.float32)
    probabilities = np.zeros((len(texts), encoder.labels), np.float16)

    def run(batch: list[int]) -> None:
        padding = encoder.tokenizer.pad_token_id or 0
        pooled, softmax = _forward(encoder, padded([ids[i] for i in batch], pad=padding, on=on))
        embeddings[batch] = pooled.cpu().numpy()
        if encoder.labels:
            probabilities[batch] = softmax.half().cpu().numpy()

    batches = inference_batches(
        [len(row) for row in ids],
        tokens=_TOKENS_IN_A_BATCH[on.type],
        rows=_ROWS_IN_A_BATCH[on.type],
    )
    _on_every_core(run, batches, on)
    return embeddings, probabilities


def _forward(encoder: Encoder, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """(unit vectors [rows, dim], probabilities [rows, labels]), both float32."""
    if encoder.backbone:
        hidden = encoder.model(**batch).last_hidden_state
        softmax = hidden.new_zeros((len(hidden), 0))
    else:
        found = encoder.model(**batch, output_hidden_states=True)
        hidden, softmax = found.hidden_states[-1], found.logits.float().softmax(-1)
    mask = batch["attention_mask"].unsqueeze(-1).float()
    pooled = (hidden.float() * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(pooled, dim=-1), softmax


def _on_every_core(
    run: Callable[[list[int]], None], batches: Sequence[list[int]], on: torch.device
) -> None:
    """Run the batches on as many threads as torch may use, one core each; on a GPU on one."""
    cores = torch.get_num_threads()
    workers = cores if on.type == "cpu" else 1

    def share(first: int) -> None:
        # Both contexts hold for their own thread only; autocast keeps its weights while open.
        with torch.inference_mode(), mixed_precision(on):
            for batch in batches[first::workers]:
                run(batch)

    # One operation over many cores waits for its slowest part; whole batches do not.
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(share, range(workers)))
    finally:
        torch.set_num_threads(cores)


def _put(artifacts: ArtifactStore, matrix: Embeddings | Probabilities, name: str) -> ArtifactRef:
    file = io.BytesIO()
    np.save(file, matrix, allow_pickle=False)
    return artifacts.put(file.getvalue(), name=name)
