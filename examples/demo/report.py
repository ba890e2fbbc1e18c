"""What the demo measured: ``demo-report.json`` and the closing table."""

import json
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from rich.table import Table

EPSILON = 2


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome. ``succeeded`` is what the exit code says."""

    workload: str
    labels: int
    promoted: bool
    reason: str
    accuracy_before: float
    accuracy_after: float
    test_rows: int
    heldout_failures: int
    heldout_right_before: int
    heldout_right_after: int
    heldout_failures_fixed: int
    regressions: int
    iterations: int
    seconds: float
    peak_rss_mb: float
    train_seconds: float
    inference_seconds: float
    stages: dict[str, float]

    @property
    def succeeded(self) -> bool:
        """Promoted through the gate, better on unseen data, and within ε."""
        better = self.accuracy_after > self.accuracy_before
        return self.promoted and better and self.regressions <= EPSILON

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    def table(self) -> Table:
        """Before and after, side by side."""
        table = Table("", "before", "after", title=f"{self.workload}: {self.labels} labels")
        table.add_row(
            f"accuracy on {self.test_rows} unseen rows",
            f"{self.accuracy_before:.1%}",
            f"{self.accuracy_after:.1%}",
        )
        table.add_row(
            "held-out failures answered right",
            f"{self.heldout_right_before} of {self.heldout_failures}",
            f"{self.heldout_right_after} of {self.heldout_failures}",
        )
        table.add_row("right before, wrong now", "", f"{self.regressions} (at most {EPSILON})")
        table.add_row("promoted", "", "yes" if self.promoted else f"no: {self.reason}")
        table.add_row("time, peak memory", "", f"{self.seconds:.0f} s, {self.peak_rss_mb:.0f} MB")
        return table


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each stage; a stage may be entered again, its seconds add up.

    ``training`` and ``inference`` are the seconds a run's models were at work, side by side.
    """

    started: float = field(default_factory=monotonic)
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    training: float = 0.0
    inference: float = 0.0

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        begin = monotonic()
        try:
            yield
        finally:
            self.add(name, monotonic() - begin)

    def add(self, name: str, seconds: float) -> None:
        self.stages[name] += seconds

    @property
    def total(self) -> float:
        return monotonic() - self.started

    def rounded(self) -> dict[str, float]:
        return {name: round(seconds, 1) for name, seconds in self.stages.items()}
