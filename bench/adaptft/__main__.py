"""``python -m bench.adaptft SCENARIO…``: AdaptFT-Bench, arms against each other on poisoned logs.

Writes ``bench/results/adaptft.json`` after every stage, and at the end the tables beside it
(``adaptft.md``) and the picture of the trajectories (``adaptft.png``). What is there already is not
run again. Published figures are of seeds 1 to N and the ``evaluation`` half of all templates;
``--templates development`` takes the other half and seeds from 101 on, and like ``--quick`` writes
into the work folder unless ``--out`` says otherwise.
"""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from bench.adaptft.arms import AGENT, ALL_ARMS
from bench.adaptft.label_noise import measure_label_noise
from bench.adaptft.phrases import Templates
from bench.adaptft.plot import plot
from bench.adaptft.results import Results
from bench.adaptft.runner import Case, run_all
from bench.adaptft.scenarios import SCENARIOS, Scenario, quick
from bench.adaptft.tables import report
from bench.adaptft.training import CPU, CUDA
from bench.command_line import told
from shared.domain.tasks import TaskKind
from shared.errors import PermanentError

PUBLISHED = Path(__file__).resolve().parents[1] / "results"
QUICK_ARMS = (AGENT, "naive", "perfect-filter")
FIRST_SEED = {Templates.EVALUATION: 1, Templates.DEVELOPMENT: 101}


def main(  # noqa: PLR0917 - typer calls it by name
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(help=f"Any of {', '.join(SCENARIOS)}; default support_desk."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 3,
    arms: Annotated[
        str, typer.Option(help=f"Comma-separated, of {', '.join(ALL_ARMS)}; default all.")
    ] = "",
    quick_run: Annotated[
        bool, typer.Option("--quick", help="One seed, six labels, two small stages, three arms.")
    ] = False,
    data: Annotated[Path, typer.Option(help="Folder of the data sets.")] = Path("../shared/data"),
    templates: Annotated[
        Templates, typer.Option(help="Half of the phrase pools.")
    ] = Templates.EVALUATION,
    work: Annotated[Path | None, typer.Option(help="Folder for models; kept.")] = None,
    out: Annotated[Path | None, typer.Option(help="The results file.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 2,
    device: Annotated[
        str, typer.Option(help=f"{CPU} or {CUDA}. Arms but the agent need no services.")
    ] = CPU,
) -> None:
    _use(device)
    work = (work or _default_work()).resolve()
    chosen_arms = _arms(arms) or (QUICK_ARMS if quick_run else ALL_ARMS)
    chosen = [_scenario(name, device, quick_run) for name in scenarios or ["support_desk"]]
    first = FIRST_SEED[templates]
    numbers = range(first, first + (1 if quick_run else seeds))
    file = out or _default_out(work, templates, device, quick_run)
    results = Results(file)
    start = monotonic()
    results.describe(
        told("bench.adaptft", sys.argv[1:]),
        {
            "templates": templates.value,
            "recipes": {s.name: asdict(s.learning.recipe(first)) for s in chosen},
            "sizes": {scenario.name: asdict(scenario.sizes) for scenario in chosen},
        },
    )
    cases = [
        Case(scenario, seed, templates, data.resolve(), work, device)
        for scenario in chosen
        for seed in numbers
    ]
    try:
        run_all(cases, chosen_arms, results, workers=workers, say=_say)
        labels = any(s.learning.kind is TaskKind.CLASSIFICATION for s in chosen)
        if labels and templates is Templates.EVALUATION and not quick_run:
            _keep_label_noise(results, data.resolve(), numbers)
    except PermanentError as error:
        _say(f"error: {error}")
        raise typer.Exit(1) from None
    file.with_suffix(".md").write_text(report(results.content), encoding="utf-8")
    plot(results.content, file.with_suffix(".png"))
    _say(f"{file} with .md and .png after {monotonic() - start:.0f} s")
    print(file.with_suffix(".md").read_text(encoding="utf-8"))


def _keep_label_noise(results: Results, data: Path, seeds: range) -> None:
    measured = {entry["seed"] for entry in results.content["label_noise"]}
    if not measured.issuperset(seeds):
        _say("planted and real label noise, beside cleanlab")
        results.set_label_noise(measure_label_noise(data, seeds))


def _use(device: str) -> None:
    """Let this process and all that it starts see the device. Raises BadParameter without one."""
    if device not in (CPU, CUDA):
        raise typer.BadParameter(f"device {device!r}: choose {CPU} or {CUDA}")
    if device == CPU:
        # Read when torch first asks for a GPU, here and in every process started from here.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return
    from shared.jobs.devices import device as found

    if found().type != CUDA:
        raise typer.BadParameter(f"device {CUDA}: torch sees no GPU here, choose {CPU}")


def _scenario(name: str, device: str, quick_run: bool) -> Scenario:
    if name not in SCENARIOS:
        raise typer.BadParameter(f"scenario {name!r}: choose from {', '.join(SCENARIOS)}")
    scenario = SCENARIOS[name].on(device)
    return quick(scenario) if quick_run else scenario


def _arms(names: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    if unknown := [name for name in found if name not in ALL_ARMS]:
        raise typer.BadParameter(f"arm {unknown[0]!r}: choose from {', '.join(ALL_ARMS)}")
    return found


def _default_work() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "pioneer" / "adaptft"


def _default_out(work: Path, templates: Templates, device: str, quick_run: bool) -> Path:
    # Sizes differ by device, so their rows do not belong in one table.
    of = "".join(
        f"-{name}" for name in (templates, device) if name not in (Templates.EVALUATION, CPU)
    )
    if quick_run:
        return work / f"adaptft-quick{of}.json"
    return (work if templates is Templates.DEVELOPMENT else PUBLISHED) / f"adaptft{of}.json"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
