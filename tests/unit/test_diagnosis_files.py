"""A diagnosis as files: what is written is what the synthesizer reads."""

import asyncio
import json
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from services.diagnoser.diagnosis_files import finish, put_probes, summaries, write
from services.diagnoser.domain.findings import Findings, SplitPolicy, diagnose
from services.synthesizer.handlers import SynthesizerHandlers
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.near_duplicates import NearDuplicateIndex, normalise
from shared.domain.patterns import Standing
from shared.domain.pipeline import DataSpec
from shared.domain.rows import FailureRow, Role, Row, TrainingRow, dump_rows, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.events import Event, FailuresDiagnosed, IterationRequested, TrainingSetSynthesized
from tests.unit.desk_traffic import LABELS, planted, trusted_rows


@cache
def findings() -> Findings:
    traffic, _ = planted(16)
    return diagnose(traffic, SplitPolicy())


@pytest.fixture
def artifacts(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts(str(tmp_path))


def diagnosed(artifacts: FsspecArtifacts) -> FailuresDiagnosed:
    found = findings()
    return FailuresDiagnosed(
        id="diagnosed-1",
        model="desk",
        deployed_version=1,
        diagnosis=write(artifacts, found),
        evaluation_set=artifacts.put(
            dump_rows(found.evaluation_rows(passing=500)), name="evaluation.jsonl"
        ),
        failures=found.failures,
        repair=len(found.repair),
        heldout=len(found.heldout),
        regression=len(found.regression),
        patterns=summaries(found.patterns, {}),
        remedies=found.remedies,
    )


def finished(
    artifacts: FsspecArtifacts, event: FailuresDiagnosed, outputs: dict[str, str]
) -> FailuresDiagnosed:
    return finish(
        artifacts,
        event,
        outputs,
        usual_errors={},
        epsilon=2,
        traffic=planted(16)[0].in_order,
    )


class Heard:
    """A publisher that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def publish(self, event: Event) -> None:
        self.events.append(event)


def synthesized(
    artifacts: FsspecArtifacts,
    event: FailuresDiagnosed,
    *,
    parent: ArtifactRef | None = None,
    noisy: float = 0.0,
) -> TrainingSetSynthesized:
    """What the synthesizer makes of a diagnosis."""
    anything = artifacts.put(b"adapter", name="adapter")
    version = ModelVersion(1, anything, "base", parent, None, None, None)
    task = Task(TaskKind.CLASSIFICATION, LABELS)
    request = IterationRequested(
        id="iteration-1",
        model=event.model,
        run_id="run-1",
        iteration=1,
        deployed=DeployedModel("desk", task, version, ()),
        diagnosis=event.diagnosis,
        evaluation_set=event.evaluation_set,
        data=DataSpec(size=200, noisy=noisy),
        recipes=(),
        move="first",
    )
    heard = Heard()
    asyncio.run(SynthesizerHandlers(heard, artifacts).on_iteration(request))
    (answer,) = heard.events
    assert isinstance(answer, TrainingSetSynthesized), answer
    return answer


def training_rows(artifacts: FsspecArtifacts, event: TrainingSetSynthesized) -> list[TrainingRow]:
    return load_rows(artifacts.get(event.training_set), TrainingRow)


def all_wrong(found: Findings) -> dict[str, str]:
    """Answers to the probes: none is right."""
    return {probe.id: next(x for x in LABELS if x != probe.target) for probe in found.probes}


def test_the_folder_holds_what_was_found(artifacts: FsspecArtifacts) -> None:
    found = findings()
    files = artifacts.get_folder(diagnosed(artifacts).diagnosis)
    assert load_rows(files["repair.jsonl"], FailureRow) == found.repair_rows()
    assert load_rows(files["passes.jsonl"], Row) == found.pool_rows()
    vectors = np.load(BytesIO(files["embeddings.npy"]), allow_pickle=False)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, found.vectors)
    assert json.loads(files["noise.json"]) == dict(found.noise)
    triaged = [json.loads(line) for line in files["triage.jsonl"].splitlines()]
    told = {line["id"]: (line["kind"], line["confidence"]) for line in triaged}
    verdicts = found.triaged.verdicts
    assert told == {k: (v.kind, v.confidence) for k, v in verdicts.items() if v.evidence}
    assert {k for k, v in verdicts.items() if v.kind != "fixable"} <= told.keys()


def test_equal_findings_are_one_artifact(artifacts: FsspecArtifacts) -> None:
    assert diagnosed(artifacts) == diagnosed(artifacts)
    outputs = all_wrong(findings())
    once = finished(artifacts, diagnosed(artifacts), outputs)
    assert finished(artifacts, diagnosed(artifacts), outputs) == once


def test_the_probes_are_asked_without_their_reasons(artifacts: FsspecArtifacts) -> None:
    found = findings()
    rows = load_rows(artifacts.get(put_probes(artifacts, found.probes)), Row)
    assert [(row.id, row.text, row.target) for row in rows] == [
        (probe.id, probe.text, probe.target) for probe in found.probes
    ]


def test_the_synthesizer_reads_what_was_written(artifacts: FsspecArtifacts) -> None:
    found, event = findings(), finished(artifacts, diagnosed(artifacts), all_wrong(findings()))
    parent = artifacts.put(dump_rows(trusted_rows()), name="training.jsonl")
    rows = training_rows(artifacts, synthesized(artifacts, event, parent=parent))
    failing = {normalise(row.text) for row in rows if row.source == "failure"}
    assert failing == {normalise(trace.text) for trace in found.repair}
    assert sum(row.source == "probe" for row in rows) == len(found.probes)
    assert {row.source for row in rows} >= {"failure", "pass", "parent", "probe"}
    measured = NearDuplicateIndex(t.text for t in (*found.heldout, *found.regression))
    assert not any(measured.match_each([row.text for row in rows]))


def test_probes_that_fail_confirm_their_patterns_and_become_material(
    artifacts: FsspecArtifacts,
) -> None:
    found, before = findings(), diagnosed(artifacts)
    after = finished(artifacts, before, all_wrong(found))
    probed = {probe.pattern for probe in found.probes}
    many = {p for p in probed if sum(probe.pattern == p for probe in found.probes) > 5}
    assert many
    files = artifacts.get_folder(after.diagnosis)
    standing = {one["pattern"]: one["standing"] for one in json.loads(files["confirmations.json"])}
    assert {standing[pattern] for pattern in many} == {Standing.CONFIRMED}
    assert {standing[p.id] for p in found.patterns if p.id not in probed} <= {Standing.UNTESTED}
    made = load_rows(files["made.jsonl"], TrainingRow)
    assert len(made) == len(found.made) + len(found.probes)
    added = {row.id: row for row in made}
    for probe in found.probes:
        row = added[derive_id("probe-row", probe.id)]
        assert (row.text, row.target, row.role) == (probe.text, probe.target, Role.GOLD)
    assert {row["id"] for row in map(json.loads, files["triage.jsonl"].splitlines())}


def test_probes_that_pass_demote_their_patterns(artifacts: FsspecArtifacts) -> None:
    found = findings()
    right = {probe.id: probe.target for probe in found.probes}
    after = finished(artifacts, diagnosed(artifacts), right)
    files = artifacts.get_folder(after.diagnosis)
    assert load_rows(files["made.jsonl"], TrainingRow) == list(found.made)
    standings = [pattern.standing for pattern in after.patterns]
    assert Standing.SPURIOUS in standings
    assert Standing.CONFIRMED not in standings
    first = standings.index(Standing.SPURIOUS)
    assert set(standings[first:]) == {Standing.SPURIOUS}
    assert sorted(p.name for p in after.patterns) == sorted(p.name for p in found.patterns)
    # Failures of a pattern that does not show again need no remedy.
    confirmations = json.loads(files["confirmations.json"])
    spurious = {one["pattern"] for one in confirmations if one["standing"] == Standing.SPURIOUS}
    learnable = {trace.id for trace in (*found.repair, *found.heldout)}
    spared = {m for p in found.patterns if p.id in spurious for m in p.members} & learnable
    before, left = (sum(r.failures for r in of) for of in (found.remedies, after.remedies))
    assert before - left == len(spared) > 0


def test_without_answers_patterns_stay_untested(artifacts: FsspecArtifacts) -> None:
    before = diagnosed(artifacts)
    after = finished(artifacts, before, {})
    assert {pattern.standing for pattern in after.patterns} == {Standing.UNTESTED}
    old, new = (artifacts.get_folder(event.diagnosis) for event in (before, after))
    assert {name: new[name] for name in old} == old
    assert after.model_copy(update={"diagnosis": before.diagnosis}) == before


def test_over_runs_a_twin_never_gets_a_twin(artifacts: FsspecArtifacts) -> None:
    event = diagnosed(artifacts)
    parent = artifacts.put(dump_rows(trusted_rows()), name="training.jsonl")
    seen: set[str] = set()
    for _ in range(3):
        made = synthesized(artifacts, event, parent=parent, noisy=1.0)
        rows = training_rows(artifacts, made)
        twins = {row.id: row for row in rows if row.source == "twin"}
        assert twins
        assert not any(f"row {id_}" in row.reason for row in twins.values() for id_ in seen)
        assert not seen & {row.id for row in rows if row.source != "twin"}
        seen |= twins.keys()
        parent = made.training_set
