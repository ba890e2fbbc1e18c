"""Failures of a pattern that probes did not bear out need no remedy."""

from collections import Counter
from pathlib import Path

from services.diagnoser.diagnosis_files import finish, summaries, write
from services.diagnoser.domain.findings import SplitPolicy, diagnose
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.patterns import Standing
from shared.events import FailuresDiagnosed
from tests.unit.desk_traffic import planted


def test_only_what_was_borne_out_is_remedied(tmp_path: Path) -> None:
    traffic, _ = planted(16)
    found = diagnose(traffic, SplitPolicy())
    artifacts = FsspecArtifacts(tmp_path.as_uri())
    event = FailuresDiagnosed(
        id="diagnosed",
        model="desk",
        deployed_version=1,
        diagnosis=write(artifacts, found),
        evaluation_set=artifacts.put(b"", name="evaluation.jsonl"),
        failures=found.failures,
        repair=len(found.repair),
        heldout=len(found.heldout),
        regression=len(found.regression),
        patterns=summaries(found.patterns, {}),
        remedies=found.remedies,
    )
    probes = Counter(probe.pattern for probe in found.probes)
    [(spurious, _)] = probes.most_common(1)
    answers = {p.id: p.target if p.pattern == spurious else "another" for p in found.probes}
    after = finish(artifacts, event, answers, traffic=lambda: traffic)
    standings = {p.name: p.standing for p in after.patterns}
    [pattern] = [p for p in found.patterns if p.id == spurious]
    assert standings[pattern.name] is Standing.SPURIOUS
    before = sum(remedy.failures for remedy in found.remedies)
    assert before - sum(remedy.failures for remedy in after.remedies) == pattern.size
    assert all(spurious not in remedy.patterns for remedy in after.remedies)
