"""The picture: the scenario's measure by stage, one panel a scenario, mean line and range of seeds.

A panel shows the seeds that all its arms have: others would compare unequal test parts.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from bench.adaptft.arms import ALL_ARMS
from bench.adaptft.tables import Runs

_STYLES = {
    "agent": ("#1b7837", "-", 2.6),
    "perfect-filter": ("#777777", "--", 1.6),
    "clean": ("#2166ac", "-", 1.6),
    "naive-cleanlab": ("#e08214", "-", 1.6),
    "naive-oracle": ("#8073ac", ":", 1.6),
    "random": ("#a6761d", ":", 1.6),
    "naive": ("#b2182b", "-", 2.2),
}
_COLUMNS = 2


def plot(results: Mapping[str, Any], file: Path) -> None:
    """Write a PNG. Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    runs = Runs(results["rows"])
    names = runs.scenarios
    if not names:
        return
    columns = min(_COLUMNS, len(names))
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(5.4 * columns, 3.8 * lines), squeeze=False, layout="constrained"
    )
    handles: dict[str, Any] = {}
    for axis, scenario in zip(axes.flat, names, strict=False):
        handles |= _panel(axis, runs, scenario, results)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    shown = [arm for arm in ALL_ARMS if arm in handles]
    figure.legend(
        [handles[arm] for arm in shown],
        shown,
        loc="outside lower center",
        ncols=min(4, len(shown)),
        frameon=False,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150, metadata={"Software": None})
    plt.close(figure)


def _panel(axis: Any, runs: Runs, scenario: str, results: Mapping[str, Any]) -> dict[str, Any]:
    handles: dict[str, Any] = {}
    arms = [arm for arm in ALL_ARMS if runs.seeds(scenario, arm)]
    seeds = sorted(set.intersection(*(set(runs.seeds(scenario, arm)) for arm in arms)))
    for arm in arms if seeds else []:
        paths = [runs.trajectory(scenario, arm, seed) for seed in seeds]
        stages = list(range(len(paths[0])))
        by_stage = [[100 * value for value in values] for values in zip(*paths, strict=True)]
        colour, dashes, width = _STYLES[arm]
        (handles[arm],) = axis.plot(
            stages,
            [mean(values) for values in by_stage],
            dashes,
            color=colour,
            linewidth=width,
            marker="o",
            markersize=4,
            zorder=3 if arm == "agent" else 2,
        )
        lows, highs = [min(v) for v in by_stage], [max(v) for v in by_stage]
        axis.fill_between(stages, lows, highs, color=colour, alpha=0.10, linewidth=0)
    poison = results["config"].get("sizes", {}).get(scenario, {}).get("poison", [])
    axis.set_xticks(
        range(1 + len(poison)), ["C1", *(f"C{n}\n{s:.0%}" for n, s in enumerate(poison, 2))]
    )
    lost = ", at chance" if runs.at_chance(scenario) else ""
    axis.set_title(f"{scenario}, {len(seeds)} seed{'' if len(seeds) == 1 else 's'}{lost}")
    axis.set_xlabel("model, and poison in the logs that made it")
    axis.set_ylabel(f"{runs.measure(scenario)}, %")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    return handles
