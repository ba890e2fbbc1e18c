"""What a diagnosis looks at is frozen with its texts, and read again as it was."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.diagnoser.models import OpenDiagnosis
from services.diagnoser.snapshots import Snapshot, Snapshots
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.rows import (
    TWIN,
    EvalPart,
    EvalRow,
    Role,
    Row,
    TrainingRow,
    dump_rows,
    load_rows,
)
from shared.domain.tasks import Task, TaskKind
from shared.domain.traces import JudgedTrace, Opinion, VerdictSource
from shared.job_specs import EmbedResult
from tests.unit.desk_traffic import LABELS, failing, passing, trusted_rows, vectors_of

OPENED = OpenDiagnosis("diagnosis-1", datetime(2026, 3, 1, tzinfo=UTC))
TRUSTED = trusted_rows()[:5]


class Traces:
    """The part of a trace store that a snapshot asks."""

    def __init__(self, failures: Sequence[JudgedTrace], passes: Sequence[JudgedTrace]) -> None:
        self._failures, self._passes = failures, passes

    async def failures(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        return self._failures[:limit]

    async def passes(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        return self._passes[:limit]

    async def count_passes(self, model: str, version: int) -> int:
        return len(self._passes)


@pytest.fixture
def artifacts(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts(str(tmp_path))


def deployed(artifacts: FsspecArtifacts, *, trained: bool = True) -> DeployedModel:
    adapter = artifacts.put(b"adapter", name="adapter")
    rows = artifacts.put(dump_rows(TRUSTED), name="training.jsonl") if trained else None
    version = ModelVersion(1, adapter, "base", rows, None, None, None)
    return DeployedModel("desk", Task(TaskKind.CLASSIFICATION, LABELS), version, ())


def taken(
    artifacts: FsspecArtifacts, model: DeployedModel, traces: Any, *, max_passes: int = 100
) -> tuple[Snapshots, Snapshot, list[Row]]:
    snapshots = Snapshots(traces, artifacts, max_failures=100, max_passes=max_passes)
    snapshot, texts = asyncio.run(snapshots.take(OPENED, model))
    return snapshots, snapshot, load_rows(artifacts.get(texts), Row)


def matrix(artifacts: FsspecArtifacts, values: Any, kind: type[np.floating]) -> ArtifactRef:
    file = BytesIO()
    np.save(file, np.asarray(values, kind), allow_pickle=False)
    return artifacts.put(file.getvalue(), name="matrix.npy")


FAILURES = [
    failing(LABELS[1], 3, occurred_at=datetime(2026, 2, 1, tzinfo=UTC), metadata={"tier": "gold"}),
    failing(LABELS[0], 1, votes=(Opinion(LABELS[2], VerdictSource.HUMAN, "ann"),), released=True),
]
PASSES = [passing(LABELS[2], at) for at in (4, 2, 3)]


@pytest.mark.parametrize("trained", [True, False])
def test_a_snapshot_is_read_as_it_was_taken(artifacts: FsspecArtifacts, trained: bool) -> None:
    model = deployed(artifacts, trained=trained)
    snapshots, snapshot, rows = taken(artifacts, model, Traces(FAILURES, PASSES))
    vectors = vectors_of([row.text for row in rows])
    likely = np.full((len(rows), len(LABELS)), 1 / len(LABELS))
    embedded = EmbedResult(
        embeddings=matrix(artifacts, vectors, np.float32),
        probabilities=matrix(artifacts, likely, np.float16),
    )
    traffic = snapshots.traffic(snapshot, embedded)
    assert traffic.failures == sorted(FAILURES, key=lambda row: row.id)
    assert traffic.passes == sorted(PASSES, key=lambda row: row.id)
    assert traffic.trusted == (TRUSTED if trained else [])
    assert [row.text for row in rows] == [r.text for r in (*traffic.judged, *traffic.trusted)]
    assert np.array_equal(traffic.vectors, vectors)
    assert traffic.probabilities is not None
    assert traffic.probabilities.dtype == np.float32
    assert snapshot.event_id == OPENED.event_id


def test_the_order_in_the_store_does_not_matter(artifacts: FsspecArtifacts) -> None:
    model = deployed(artifacts)
    one = taken(artifacts, model, Traces(FAILURES, PASSES))[1:]
    assert taken(artifacts, model, Traces(FAILURES[::-1], PASSES[::-1]))[1:] == one


def test_answers_that_the_model_cannot_give_are_left_out(artifacts: FsspecArtifacts) -> None:
    strange = replace(FAILURES[0], id="f-strange", corrected="no such label")
    traces = Traces([*FAILURES, strange], PASSES)
    _, snapshot, rows = taken(artifacts, deployed(artifacts), traces)
    assert "f-strange" not in {row.id for row in rows}
    assert len(rows) == len(FAILURES) + len(PASSES) + len(TRUSTED)
    assert snapshot.passing == len(PASSES)


def test_all_passes_count_although_few_are_kept(artifacts: FsspecArtifacts) -> None:
    traces = Traces(FAILURES, PASSES)
    _, snapshot, rows = taken(artifacts, deployed(artifacts), traces, max_passes=1)
    assert len(rows) == len(FAILURES) + 1 + len(TRUSTED)
    assert snapshot.passing == len(PASSES)


def test_vectors_that_do_not_fit_the_rows_are_refused(artifacts: FsspecArtifacts) -> None:
    snapshots, snapshot, rows = taken(artifacts, deployed(artifacts), Traces(FAILURES, PASSES))
    short = matrix(artifacts, vectors_of([row.text for row in rows[1:]]), np.float32)
    with pytest.raises(ValueError, match=r"vectors .* one for each"):
        snapshots.traffic(snapshot, EmbedResult(embeddings=short))


def test_noisy_twins_are_not_trusted_as_ordinary_texts(artifacts: FsspecArtifacts) -> None:
    rows = [TrainingRow(r.id, r.text, r.target, Role.REPLAY, "parent", "replay") for r in TRUSTED]
    twins = [replace(row, id=f"twin-{row.id}", text=row.text.upper(), source=TWIN) for row in rows]
    learned = artifacts.put(dump_rows([*rows, *twins]), name="training.jsonl")
    model = deployed(artifacts)
    model = replace(model, version=replace(model.version, training_set=learned))
    _, _, texts = taken(artifacts, model, Traces(FAILURES, PASSES))
    assert texts[-len(TRUSTED) :] == TRUSTED
    assert not any(row.id.startswith("twin-") for row in texts)


def test_failures_of_earlier_gates_are_released_and_their_passes_stay_guarded(
    artifacts: FsspecArtifacts,
) -> None:
    released = EvalRow("old-failure", "never again", "b", EvalPart.HELDOUT, right_before=False)
    guarded = EvalRow("old-pass", "as ever", "a", EvalPart.REGRESSION, right_before=True)
    known = EvalRow(TRUSTED[0].id, "otherwise", "b", EvalPart.HELDOUT, right_before=False)
    earlier = artifacts.put(dump_rows([released, guarded, known]), name="evaluation.jsonl")
    model = replace(deployed(artifacts), earlier_evaluations=(earlier,))
    snapshots, snapshot, texts = taken(artifacts, model, Traces(FAILURES, PASSES))
    # What the training set says of an id stays.
    assert texts[-len(TRUSTED) - 1 :] == [*TRUSTED, Row("old-failure", "never again", "b")]
    assert snapshots.earlier_texts(snapshot) == ["as ever"]
