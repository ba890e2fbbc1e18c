"""The benchmark's quick run, as its command: three arms, the agent through the real services."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 2400


@pytest.mark.connected
@pytest.mark.timeout(LIMIT_S)
def test_the_quick_run_measures_every_arm_at_every_stage(tmp_path: Path) -> None:
    out = tmp_path / "adaptft.json"
    done = subprocess.run(
        (
            *(sys.executable, "-m", "bench.adaptft", "support_desk", "--quick"),
            *("--work", str(tmp_path / "work"), "--out", str(out)),
        ),
        capture_output=True,
        text=True,
        timeout=LIMIT_S - 20,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    found = json.loads(out.read_text())
    stages = {(row["arm"], row["stage"]) for row in found["rows"]}
    assert stages == {
        (arm, stage) for arm in ("agent", "naive", "perfect-filter") for stage in (0, 1, 2)
    }
    # All arms start from the same first model.
    assert len({row["score"] for row in found["rows"] if row["stage"] == 0}) == 1
    assert all(0 <= row["score"] <= 1 for row in found["rows"])
    agent = [t for t in found["triage"] if t["detector"] == "agent" and t["family"] == "poison"]
    assert {entry["stage"] for entry in agent} == {1, 2}
    assert sum(entry["hits"] for entry in agent) > 0
    assert out.with_suffix(".png").stat().st_size > 0
    assert "| agent" in out.with_suffix(".md").read_text()
