"""A diagnosis as files: written before its probes are asked, finished with their answers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from io import BytesIO

import numpy as np
from pydantic import TypeAdapter

from services.diagnoser.domain.confirmation import Confirmation, confirm
from services.diagnoser.domain.findings import Findings, breakable_share, remedies_for
from services.diagnoser.domain.probes import Probe, material, rows_to_ask
from services.diagnoser.domain.traffic import Traffic
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.patterns import ErrorPattern, Remedy, Standing
from shared.domain.rows import Role, TrainingRow, dump_rows, load_rows
from shared.domain.triage import TriageVerdict
from shared.events import FailuresDiagnosed, PatternSummary
from shared.ports import ArtifactStore

_PATTERNS = TypeAdapter(tuple[ErrorPattern, ...])
_REMEDIES = TypeAdapter(tuple[Remedy, ...])
_PROBES = TypeAdapter(tuple[Probe, ...])
_CONFIRMATIONS = TypeAdapter(tuple[Confirmation, ...])
_VERDICT = TypeAdapter(TriageVerdict)


def write(artifacts: ArtifactStore, findings: Findings) -> ArtifactRef:
    """The folder the synthesizer reads, its patterns not yet confirmed."""
    matrix = BytesIO()
    np.save(matrix, findings.vectors.astype(np.float32), allow_pickle=False)
    files = {
        "patterns.json": _PATTERNS.dump_json(findings.patterns),
        "remedies.json": _REMEDIES.dump_json(findings.remedies),
        "probes.json": _PROBES.dump_json(findings.probes),
        "triage.jsonl": _triage_lines(findings),
        "repair.jsonl": dump_rows(findings.repair_rows()),
        "passes.jsonl": dump_rows(findings.pool_rows()),
        "made.jsonl": dump_rows(findings.made),
        "noise.json": json.dumps(findings.noise, sort_keys=True).encode(),
        "embeddings.npy": matrix.getvalue(),
    }
    return artifacts.put_folder(files, name="diagnosis")


def put_probes(artifacts: ArtifactStore, probes: Sequence[Probe]) -> ArtifactRef:
    """The probes as an evaluation set."""
    return artifacts.put(dump_rows(rows_to_ask(probes)), name="probes.jsonl")


def finish(
    artifacts: ArtifactStore,
    event: FailuresDiagnosed,
    outputs: Mapping[str, str],
    *,
    usual_errors: Mapping[str, float] | None = None,
    epsilon: int = 0,
    traffic: Callable[[], Traffic] | None = None,
) -> FailuresDiagnosed:
    """The event with its patterns confirmed or demoted, and failing probes as material.

    ``outputs`` are the deployed model's answers by probe id; without any, patterns stay untested.
    ``usual_errors``: the share of each label's traffic that fails. The failures of a spurious
    pattern need no remedy; to see which the others need, ``traffic`` reads the rows again.
    """
    files = artifacts.get_folder(event.diagnosis)
    patterns = _PATTERNS.validate_json(files["patterns.json"])
    probes = _PROBES.validate_json(files["probes.json"])
    confirmations = confirm(patterns, probes, outputs, usual_errors=usual_errors)
    spurious = {one.pattern for one in confirmations if one.standing is Standing.SPURIOUS}
    remedies = event.remedies
    if spurious and traffic:
        remedies = remedies_for(
            traffic(),
            patterns,
            _verdicts(files["triage.jsonl"]),
            breakable=breakable_share(epsilon, event.regression),
            spurious=spurious,
        )
    made = load_rows(files["made.jsonl"], TrainingRow)
    made += [
        TrainingRow(
            derive_id("probe-row", row.id),
            row.text,
            row.target,
            Role.GOLD,
            "probe",
            f"the deployed model said {row.output}; {row.reason}",
        )
        for row in material(probes, outputs)
    ]
    files["remedies.json"] = _REMEDIES.dump_json(remedies)
    files["confirmations.json"] = _CONFIRMATIONS.dump_json(confirmations)
    files["made.jsonl"] = dump_rows(made)
    diagnosis = artifacts.put_folder(files, name="diagnosis")
    told = summaries(patterns, {one.pattern: one.standing for one in confirmations})
    return event.model_copy(update={"diagnosis": diagnosis, "patterns": told, "remedies": remedies})


def summaries(
    patterns: Sequence[ErrorPattern], standings: Mapping[str, Standing]
) -> tuple[PatternSummary, ...]:
    """Patterns in a line each, the largest first; spurious ones are demoted to the end."""
    standing = {p.id: standings.get(p.id, Standing.UNTESTED) for p in patterns}
    return tuple(
        PatternSummary(
            id=p.id,
            name=p.name,
            size=p.size,
            share=p.share,
            cause=p.cause,
            character=p.character,
            standing=standing[p.id],
        )
        for p in sorted(patterns, key=lambda p: standing[p.id] is Standing.SPURIOUS)
    )


def _triage_lines(findings: Findings) -> bytes:
    lines = [
        json.dumps({"id": key, **asdict(verdict)}, ensure_ascii=False)
        for key, verdict in sorted(findings.triaged.verdicts.items())
        if verdict.evidence
    ]
    return "\n".join(lines).encode()


def _verdicts(lines: bytes) -> dict[str, TriageVerdict]:
    """The verdicts of ``_triage_lines``; a row without evidence has none."""
    found = [json.loads(line) for line in lines.splitlines()]
    return {row.pop("id"): _VERDICT.validate_python(row) for row in found}
