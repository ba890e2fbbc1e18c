"""Predictions of every model on every row: what the gates compare."""

import json
import time
from dataclasses import asdict
from typing import Any

from shared.errors import DEFECTS, PermanentError
from shared.job_specs import EvaluateResult, EvaluateSpec, ModelSpec
from shared.jobs.predict import Prediction, Predictor
from shared.jobs.rows import Row, read_rows
from shared.ports import ArtifactStore


def run_evaluate(spec: EvaluateSpec, artifacts: ArtifactStore) -> EvaluateResult:
    """Predict each distinct row once with each model; one that cannot be loaded is ``broken``."""
    rows = _distinct(spec, artifacts)
    lines: list[str] = []
    broken: dict[str, str] = {}
    seconds = 0.0
    for model in spec.models:
        # Loading counts, as it does in the seconds of a training.
        start = time.perf_counter()
        try:
            predictor = Predictor.load(artifacts, model.adapter)
        except (PermanentError, RuntimeError, OSError, *DEFECTS) as error:
            broken[model.id] = f"{type(error).__name__}: {error}"
            continue
        lines += _predicted(model, predictor, rows)
        seconds += time.perf_counter() - start
    predictions = artifacts.put("\n".join(lines).encode(), name="predictions.jsonl")
    return EvaluateResult(predictions=predictions, broken=broken, inference_seconds=seconds)


def _distinct(spec: EvaluateSpec, artifacts: ArtifactStore) -> list[Row]:
    """Rows of all sets, each id once: sets overlap."""
    rows: dict[str, Row] = {}
    for ref in spec.sets:
        for row in read_rows(artifacts, ref, keys=("id", "text")):
            rows.setdefault(row.id, row)
    return list(rows.values())


def _predicted(model: ModelSpec, predictor: Predictor, rows: list[Row]) -> list[str]:
    found = predictor.predict([row.text for row in rows])
    return [
        json.dumps(
            {
                "model": model.id,
                "id": row.id,
                "output": one.output,
                "confidence": round(one.confidence, 6),
            }
            | ({"seen": _seen(one)} if one.entities else {}),
            ensure_ascii=False,
        )
        for row, one in zip(rows, found, strict=True)
    ]


def _seen(prediction: Prediction) -> list[dict[str, Any]]:
    return [asdict(one.entity) | {"probability": one.probability} for one in prediction.entities]
