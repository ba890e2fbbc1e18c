"""Sentence embeddings of the base encoder: mean-pooled and L2-normalised."""

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shared.job_specs import EmbedResult, EmbedSpec
from shared.jobs.base_models import base_folder
from shared.jobs.batches import inference_batches
from shared.jobs.classifiers import encode, load_tokenizer, padded
from shared.jobs.devices import device
from shared.jobs.rows import read_rows
from shared.ports import ArtifactStore

_TOKENS_IN_A_BATCH = 1024
_MAX_TOKENS = 256


def run_embed(spec: EmbedSpec, artifacts: ArtifactStore) -> EmbedResult:
    """Embed the rows of a spec and store the matrix."""
    texts = [row.text for row in read_rows(artifacts, spec.texts, keys=("text",))]
    base = base_folder(spec.base_model)
    start = time.perf_counter()
    matrix = embed(texts, base)
    seconds = time.perf_counter() - start
    file = io.BytesIO()
    np.save(file, matrix, allow_pickle=False)
    ref = artifacts.put(file.getvalue(), name="embeddings.npy")
    return EmbedResult(embeddings=ref, inference_seconds=seconds)


@torch.inference_mode()
def embed(texts: Sequence[str], base: Path) -> NDArray[np.float32]:
    """[rows, dim], in the order of the texts."""
    from transformers import AutoModel

    on, tokenizer = device(), load_tokenizer(base)
    model: Any = AutoModel.from_pretrained(str(base), dtype=torch.float32, use_safetensors=True)
    model = model.to(on).eval()
    longest = min(_MAX_TOKENS, model.config.max_position_embeddings)
    ids = encode(tokenizer, texts, max_tokens=longest)
    matrix = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for rows in inference_batches([len(r) for r in ids], tokens=_TOKENS_IN_A_BATCH, rows=256):
        batch = padded([ids[i] for i in rows], pad=tokenizer.pad_token_id or 0, on=on)
        hidden = model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1).float()
        pooled = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        matrix[rows] = pooled.cpu().numpy()
    return matrix
