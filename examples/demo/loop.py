"""The demo: a weak model is put into production, fails, and is improved by the real loop."""

from pathlib import Path
from time import monotonic

from examples.demo.follow import Follower
from examples.demo.memory import PeakMemory
from examples.demo.production import deploy_first, production, until_closed
from examples.demo.report import Report, Stopwatch
from examples.demo.screen import Screen
from examples.demo.workload import Workload
from shared.adapters.kafka_reader import LOOP_TOPICS, reading_topics
from shared.domain.evaluation import SetReport


async def run_demo(workload: Workload, home: Path, screen: Screen) -> Report:
    """The whole story once; everything that was started has ended when this returns."""
    watch, memory = Stopwatch(), PeakMemory()
    async with (
        memory.sampling(),
        production(home, workload.name, screen, watch) as running,
        reading_topics(running.settings, LOOP_TOPICS, from_start=True) as reader,
    ):
        follower = Follower(reader, watch)
        with watch.stage("parent"), screen.step("train the first model and deploy it"):
            await deploy_first(running, workload)
        with watch.stage("measure"), screen.step("measure it on unseen rows"):
            before = await running.serving.accuracy(workload.test)
        with watch.stage("traffic"), screen.step(f"serve {len(workload.traffic)} requests"):
            passed = await running.serving.send_traffic(workload.traffic)
        screen.say(f"production answered {passed:.1%} right; the loop takes over")
        follower.mark = monotonic()
        ended, verdict, version = await until_closed(follower, screen.show)
        if version is not None:
            with watch.stage("swap"), screen.step("serving swaps to the promoted model"):
                await running.serving.wait_for_version(version, seconds=60)
        with watch.stage("measure"), screen.step("measure again on the same unseen rows"):
            after = await running.serving.accuracy(workload.test)
    report = verdict.report if verdict else None
    heldout = report.heldout if report else None
    return Report(
        workload=workload.name,
        labels=len(workload.labels),
        promoted=ended.outcome == "promoted",
        reason=ended.reason,
        accuracy_before=round(before, 4),
        accuracy_after=round(after, 4),
        test_rows=len(workload.test),
        heldout_failures=heldout.total if heldout else 0,
        heldout_right_before=heldout.right_before if heldout else 0,
        heldout_right_after=heldout.right_after if heldout else 0,
        heldout_failures_fixed=_fixed(heldout) if heldout else 0,
        regressions=report.regressions if report else 0,
        iterations=ended.iterations,
        seconds=round(watch.total, 1),
        peak_rss_mb=round(memory.megabytes, 1),
        train_seconds=round(watch.training, 1),
        inference_seconds=round(watch.inference, 1),
        stages=watch.rounded(),
    )


def _fixed(heldout: SetReport) -> int:
    """Rows that were wrong before and are right now."""
    return heldout.right_after - heldout.right_before + heldout.regressions
