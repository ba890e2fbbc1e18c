"""The control plane's share of a run: wall time that is neither training nor inference."""

import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.demo.loop import run_demo
from examples.demo.screen import Screen
from examples.demo.workload import SAMPLE, Limits, load_workload

SEED_ROWS = 20
RUN_STAGES = ("diagnose", "decide", "synthesize", "train", "verify", "promote")


async def measure_overhead(console: Console) -> dict[str, Any]:
    """Run the loop once on the sample workload, as the demo does."""
    workload = load_workload(SAMPLE, Limits(seed_rows=SEED_ROWS))
    with tempfile.TemporaryDirectory(prefix="pioneer-bench-") as folder:
        screen = Screen(console)
        with screen.live():
            report = await run_demo(workload, Path(folder), screen)
    run = sum(report.stages.get(stage, 0.0) for stage in RUN_STAGES)
    # Candidates train side by side: an iteration's training lasts as long as its slowest one.
    models = report.train_seconds + report.inference_seconds
    return {
        "control_overhead": round((run - models) / run, 3),
        "run_seconds": round(run, 1),
        "train_seconds": round(report.train_seconds, 1),
        "inference_seconds": round(report.inference_seconds, 1),
    }
