"""Live progress of a run, drawn from the same topics any operator may consume."""

from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from shared.cli.narrate import narrate
from shared.events import (
    CandidatesTrained,
    CandidatesVerified,
    Event,
    FailuresDiagnosed,
    TrainingProgressed,
)

COLOURS = {"admitted": "green", "regressed": "red", "not_better": "yellow", "unusable": "red"}


class Screen:
    """Lines for what happened, bars for what is under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._bars: dict[str, TaskID] = {}

    @contextmanager
    def live(self) -> Generator[None]:
        with self._progress:
            yield

    def say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False)

    @contextmanager
    def step(self, doing: str) -> Generator[None]:
        """A spinner while it lasts, a line with its seconds when it is done."""
        begin, bar = monotonic(), self._progress.add_task(doing, total=None, note="")
        try:
            yield
        finally:
            self._progress.remove_task(bar)
        self.say(f"[green]✓[/green] {doing} [dim]{monotonic() - begin:.1f} s[/dim]")

    def show(self, event: Event) -> None:
        """One event of the loop."""
        match event:
            case TrainingProgressed():
                self._train(event)
            case FailuresDiagnosed():
                self.say(
                    f"[bold]{event.failures} failures[/bold] in {len(event.patterns)} patterns; "
                    f"{event.repair} to learn from, {event.heldout} held out, "
                    f"{event.regression} passes guarded"
                )
                for pattern in event.patterns[:5]:
                    self.say(f"    {pattern.size:>4}  {pattern.name}")
            case CandidatesVerified():
                self._verdicts(event)
            case CandidatesTrained():
                self._clear()
                whole = [c for c in event.candidates if not c.recipe.strategy.blended]
                times = ", ".join(f"{c.recipe.name} {c.train_seconds:.0f} s" for c in whole)
                blends = len(event.candidates) - len(whole)
                more = f"; {blends} blends with the deployed weights" if blends else ""
                self.say(f"  trained: {times}{more}")
            case _:
                self.say(f"  {narrate(event)}")

    def _verdicts(self, event: CandidatesVerified) -> None:
        """Each with what is its own; what a gate says of all of them once, at the end."""
        notes = [v.report.warnings for v in event.verdicts if v.report]
        shared = [note for note in notes[0] if all(note in of for of in notes)] if notes else []
        for verdict in event.verdicts:
            colour = COLOURS[verdict.outcome]
            name = verdict.candidate.name
            self.say(f"  [{colour}]{name}[/{colour}]  {verdict.reason}")
            if verdict.report:
                own = [note for note in verdict.report.warnings if note not in shared]
                told = "; ".join((f"McNemar p = {verdict.report.mcnemar_p:.2g}", *own))
                self.say(f"    [dim]{told}[/dim]")
        for note in shared:
            self.say(f"  [dim]of all: {note}[/dim]")

    def _train(self, event: TrainingProgressed) -> None:
        bar = self._bars.get(event.candidate)
        if bar is None:
            bar = self._progress.add_task(f"training {event.recipe}", total=event.steps, note="")
            self._bars[event.candidate] = bar
        note = "" if event.loss is None else f"loss {event.loss:.3f}"
        self._progress.update(bar, completed=event.step, note=note)

    def _clear(self) -> None:
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        self._bars.clear()
