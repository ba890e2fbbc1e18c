"""A newcomer's path: a fresh copy of the tree, the README's commands, nothing else."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.connected, pytest.mark.newcomer, pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[2]
OURS = ("VIRTUAL_ENV", "KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "RAY_ADDRESS", "ARTIFACTS_URI")
KEYS = {
    "promoted",
    "accuracy_before",
    "accuracy_after",
    "heldout_failures_fixed",
    "regressions",
    "seconds",
    "peak_rss_mb",
    "stages",
}


def commands_of_the_readme() -> list[str]:
    """The shell lines of the README's first two commands."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return blocks[0].split("\n")


def copy_of_the_tree(target: Path) -> Path:
    """What a clone would hold: tracked files, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def test_the_readme_begins_with_two_commands() -> None:
    assert commands_of_the_readme()[:2] == ["make demo", "make test"]


def test_make_demo_in_a_fresh_copy(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path / "pioneer")
    clean = {key: value for key, value in os.environ.items() if key not in OURS}
    # Few labels, for the time it takes: the way is the same.
    clean["LABELS"] = "8"
    before = set(psutil.pids())
    demo = subprocess.run(
        commands_of_the_readme()[0],
        shell=True,
        cwd=tree,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert demo.returncode == 0, f"{demo.stdout[-4000:]}\n{demo.stderr[-4000:]}"
    report = json.loads((tree / "demo-report.json").read_text())
    assert report.keys() >= KEYS
    assert report["promoted"]
    assert report["accuracy_after"] > report["accuracy_before"]
    assert report["regressions"] <= 2
    left = [p.cmdline() for p in map(psutil.Process, set(psutil.pids()) - before) if mine(p, tree)]
    assert left == []


def mine(process: psutil.Process, tree: Path) -> bool:
    try:
        return str(tree) in " ".join(process.cmdline())
    except psutil.Error:
        return False
