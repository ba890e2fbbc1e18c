"""Predictions of every model on every row: what the gates compare."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from shared.domain.answer_form import AnswerForm, Scorer
from shared.errors import DEFECTS, PermanentError
from shared.job_specs import EvaluateResult, EvaluateSpec, ModelSpec
from shared.jobs.grading import passes_each
from shared.jobs.predict import Prediction, Predictor
from shared.jobs.rows import Row, read_rows
from shared.ports import ArtifactStore


def run_evaluate(spec: EvaluateSpec, artifacts: ArtifactStore) -> EvaluateResult:
    """Predict each distinct row once with each model; one that cannot be loaded is ``broken``.

    Code is run where the task is scored so. Raises BadSettings where it is and cannot be.
    """
    rows, targets = _distinct(spec, artifacts)
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
        found = predictor.predict([row.text for row in rows])
        seconds += time.perf_counter() - start
        form = predictor.adapter.task.form
        # Code that loops for ever takes no model's time.
        graded = _graded(rows, found, targets, form) if form and _runs(form) else {}
        lines += _lines(model, rows, found, graded)
    predictions = artifacts.put("\n".join(lines).encode(), name="predictions.jsonl")
    return EvaluateResult(predictions=predictions, broken=broken, inference_seconds=seconds)


def _distinct(
    spec: EvaluateSpec, artifacts: ArtifactStore
) -> tuple[list[Row], Mapping[str, Sequence[str]]]:
    """Rows of all sets, each id once, for sets overlap; and by id the targets it has in them."""
    rows: dict[str, Row] = {}
    targets: dict[str, dict[str, None]] = defaultdict(dict)
    for ref in spec.sets:
        for row in read_rows(artifacts, ref, keys=("id", "text")):
            rows.setdefault(row.id, row)
            if row.target is not None:
                targets[row.id][row.target] = None
    return list(rows.values()), {id_: tuple(of) for id_, of in targets.items()}


def _runs(form: AnswerForm) -> bool:
    return form.scorer is Scorer.PASSES


def _graded(
    rows: Sequence[Row],
    found: Sequence[Prediction],
    targets: Mapping[str, Sequence[str]],
    form: AnswerForm,
) -> dict[str, dict[str, bool]]:
    """By row id and target, whether the output passes the target's tests."""
    asked = [
        (row.id, one.output, target)
        for row, one in zip(rows, found, strict=True)
        for target in targets.get(row.id, ())
    ]
    passed = passes_each([(output, target) for _, output, target in asked], form)
    graded: dict[str, dict[str, bool]] = defaultdict(dict)
    for (id_, _, target), right in zip(asked, passed, strict=True):
        graded[id_][target] = right
    return graded


def _lines(
    model: ModelSpec,
    rows: Sequence[Row],
    found: Sequence[Prediction],
    graded: Mapping[str, Mapping[str, bool]],
) -> list[str]:
    return [
        json.dumps(
            {
                "model": model.id,
                "id": row.id,
                "output": one.output,
                "confidence": round(one.confidence, 6),
            }
            | ({"seen": _seen(one)} if one.entities else {})
            | ({"graded": graded[row.id]} if row.id in graded else {}),
            ensure_ascii=False,
        )
        for row, one in zip(rows, found, strict=True)
    ]


def _seen(prediction: Prediction) -> list[dict[str, Any]]:
    return [asdict(one.entity) | {"probability": one.probability} for one in prediction.entities]
