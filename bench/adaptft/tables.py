"""The results as tables like the paper's 4 and 5, and the goals with pass or miss beside each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any

from bench.adaptft.arms import AGENT, ALL_ARMS
from bench.adaptft.scoring import ALL_POISON

Entry = Mapping[str, Any]
METRICS = ("score", "score_noisy", "score_clean")
FOUND_METRICS = ("precision", "recall", "f1")
# Table 4 of the paper: final gap in points, by scenario.
PAPER_GAPS = "16.5 to 43.0 points"
NAIVE, CLEAN, CLEANLAB, CEILING = "naive", "clean", "naive-cleanlab", "perfect-filter"
LABEL_NOISE_GOALS = {"uniform": 0.95, "nearest": 0.88, "trec_weak": 0.75}


@dataclass(frozen=True, slots=True)
class Goal:
    """``passed`` is None where a needed arm has not run."""

    name: str
    wanted: str
    found: str
    passed: bool | None

    @property
    def verdict(self) -> str:
        return {None: "not run", True: "pass", False: "**miss**"}[self.passed]


class Runs:
    """The rows, by scenario, arm, seed and stage."""

    def __init__(self, rows: Iterable[Entry]) -> None:
        self._of: dict[tuple[str, str, int], dict[int, Entry]] = defaultdict(dict)
        for row in rows:
            self._of[row["scenario"], row["arm"], row["seed"]][row["stage"]] = row

    @property
    def scenarios(self) -> list[str]:
        return sorted({scenario for scenario, _, _ in self._of})

    def seeds(self, scenario: str, *arms: str) -> list[int]:
        """Seeds for which every one of the arms went through the last stage of the same data.

        A row without a digest is of any data.
        """
        last = self.last_stage(scenario)
        ran = [
            {
                s
                for (name, a, s), rows in self._of.items()
                if (name, a) == (scenario, arm) and last in rows
            }
            for arm in arms
        ]
        found = sorted(set.intersection(*ran)) if ran else []
        return [seed for seed in found if len(self._made_from(scenario, arms, seed, last)) < 2]

    def _made_from(self, scenario: str, arms: Sequence[str], seed: int, stage: int) -> set[str]:
        """Digests of what the arms' rows were made from: other data, recipes or devices differ."""
        rows = (self._of[scenario, arm, seed][stage] for arm in arms)
        return {row["digest"] for row in rows if "digest" in row}

    def last_stage(self, scenario: str) -> int:
        return max(max(rows) for (name, _, _), rows in self._of.items() if name == scenario)

    def trajectory(self, scenario: str, arm: str, seed: int, metric: str = "score") -> list[float]:
        """The metric by stage."""
        rows = self._of[scenario, arm, seed]
        return [rows[stage][metric] for stage in sorted(rows)]

    def measure(self, scenario: str) -> str:
        """The name of what is scored; older rows are all of accuracy."""
        rows = (
            row for (name, _, _), of in self._of.items() if name == scenario for row in of.values()
        )
        return next((row["measure"] for row in rows if "measure" in row), "accuracy")

    def at_chance(self, scenario: str) -> dict[int, tuple[float, float]]:
        """(score, chance) of first models that are no better than chance, by seed."""
        return {
            seed: (rows[0]["score"], rows[0]["chance"])
            for (name, _, seed), rows in sorted(self._of.items())
            if name == scenario and 0 in rows and rows[0].get("at_chance")
        }

    def mean(
        self, scenario: str, arm: str, seeds: Sequence[int], metric: str = "score", stage: int = -1
    ) -> float:
        """Over seeds, of one stage, the last one by default."""
        return mean(self.trajectory(scenario, arm, seed, metric)[stage] for seed in seeds)


def report(results: Entry) -> str:
    """The whole report in Markdown."""
    runs = Runs(results["rows"])
    parts = [
        "# AdaptFT-Bench",
        "\n".join(f"`{command}`  " for command in dict.fromkeys(results["commands"].values())),
        "The scenario's measure in % on the union of all test parts, mean over seeds. Rows whose "
        "text has no right answer (all poison but a flipped label) are not scored. *Noisy* are "
        "rows whose text was changed, *clean* the rest. All arms of a scenario start from the same "
        "first model C1 and use one recipe.",
        _gap_table(runs),
        *(_arm_table(runs, scenario) for scenario in runs.scenarios),
        _triage_table(results["triage"]),
        _label_noise_table(results["label_noise"]),
        _goal_table(goals(results)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def goals(results: Entry) -> list[Goal]:
    """Every goal of the benchmark, in the order of its tables."""
    runs = Runs(results["rows"])
    return [
        _never_falls(runs),
        _gap_closed(runs),
        _against(runs, CLEAN, "at least `clean` in every scenario", "score", strict=False),
        _against(runs, CLEAN, "above `clean` on the noisy part", "score_noisy", strict=True),
        _against(runs, CLEANLAB, "above `naive-cleanlab` in every scenario", "score", strict=True),
        *_poison_found(results["triage"]),
        *_label_noise(results["label_noise"]),
    ]


def _never_falls(runs: Runs) -> Goal:
    falls, ran = list[str](), 0
    for scenario in runs.scenarios:
        for seed in runs.seeds(scenario, AGENT):
            ran += 1
            path = runs.trajectory(scenario, AGENT, seed)
            drop = max((a - b for a, b in pairwise(path)), default=0.0)
            if drop > 0:
                falls.append(f"{scenario} seed {seed} by {100 * drop:.1f}")
    found = "; ".join(falls) or f"no fall in {ran} runs"
    return Goal("agent over stages", "never falls", found, not falls if ran else None)


def _gap_closed(runs: Runs) -> Goal:
    shares: dict[str, float] = {}
    told: list[str] = []
    for scenario in runs.scenarios:
        if seeds := runs.seeds(scenario, AGENT, NAIVE, CEILING):
            agent, naive, ceiling = (runs.mean(scenario, a, seeds) for a in (AGENT, NAIVE, CEILING))
            if ceiling > naive:
                shares[scenario] = (agent - naive) / (ceiling - naive)
                points = f"{100 * (agent - naive):.1f} of {100 * (ceiling - naive):.1f} points"
                told.append(f"{scenario} {shares[scenario]:.2f} ({points})")
            else:
                # A share of nothing is neither met nor missed.
                told.append(
                    f"{scenario} no gap: `{CEILING}` {_percent(ceiling)}, naive {_percent(naive)}"
                )
    passed = min(shares.values()) >= 0.90 if shares else None
    wanted = "≥ 0.90 in every scenario"
    name = "share of the reachable gap closed, last stage"
    return Goal(name, wanted, ", ".join(told) or "–", passed)


def _against(runs: Runs, other: str, wanted: str, metric: str, *, strict: bool) -> Goal:
    ahead: dict[str, float] = {}
    for scenario in runs.scenarios:
        if seeds := runs.seeds(scenario, AGENT, other):
            ours, theirs = (runs.mean(scenario, arm, seeds, metric) for arm in (AGENT, other))
            ahead[scenario] = 100 * (ours - theirs)
    found = ", ".join(f"{scenario} {points:+.1f}" for scenario, points in ahead.items())
    good = [points > 1e-9 if strict else points > -1e-9 for points in ahead.values()]
    return Goal(f"agent less `{other}`, points", wanted, found or "–", all(good) if good else None)


def _poison_found(triage: Sequence[Entry]) -> list[Goal]:
    rows = [row for row in _last(triage) if (row["detector"], row["family"]) == (AGENT, ALL_POISON)]
    made: list[Goal] = []
    for metric, least in (("precision", 0.92), ("recall", 0.90)):
        by: defaultdict[str, list[float]] = defaultdict(list)
        for row in rows:
            by[row["scenario"]].append(row[metric])
        means = {scenario: mean(values) for scenario, values in sorted(by.items())}
        found = ", ".join(f"{scenario} {value:.3f}" for scenario, value in means.items())
        overall = mean(means.values()) if means else 0.0
        name = f"poison quarantined, last stage: {metric}, mean of the scenarios"
        told = f"{overall:.3f} ({found})" if means else "–"
        made.append(Goal(name, f"≥ {least:.2f}", told, overall >= least if means else None))
    return made


def _label_noise(entries: Sequence[Entry]) -> list[Goal]:
    made: list[Goal] = []
    for task, least in LABEL_NOISE_GOALS.items():
        by: defaultdict[str, list[float]] = defaultdict(list)
        for entry in entries:
            if entry.get("benchmark") == task:
                by[entry["detector"]].append(entry["f1"])
        means = {detector: mean(values) for detector, values in sorted(by.items())}
        found = ", ".join(f"{detector} {value:.3f}" for detector, value in means.items())
        passed = means[AGENT] >= least if AGENT in means else None
        made.append(Goal(f"wrong labels found, {task}: F1", f"≥ {least}", found or "–", passed))
    return made


def _gap_table(runs: Runs) -> str:
    rows: list[list[str]] = []
    for scenario in runs.scenarios:
        seeds = runs.seeds(scenario, AGENT, NAIVE)
        if not seeds:
            continue
        best = mean(max(runs.trajectory(scenario, AGENT, seed)) for seed in seeds)
        start = runs.mean(scenario, AGENT, seeds, stage=0)
        naive_start = runs.mean(scenario, NAIVE, seeds, stage=0)
        naive, agent = runs.mean(scenario, NAIVE, seeds), runs.mean(scenario, AGENT, seeds)
        rows.append(
            [
                f"{scenario} (at chance)" if runs.at_chance(scenario) else scenario,
                str(len(seeds)),
                f"{_percent(start)} → {_percent(best)}",
                f"{_percent(naive_start)} → {_percent(naive)}",
                f"{100 * (agent - naive):.1f}",
            ]
        )
    if not rows:
        return ""
    head = ["scenario", "seeds", "agent, C1 → best", "naive, C1 → last", "gap, last stage"]
    note = f"The paper's gaps are {PAPER_GAPS}, much of it there before any poison."
    return "\n\n".join(("## Agent and naive", _table(head, rows), note))


def _arm_table(runs: Runs, scenario: str) -> str:
    rows: list[list[str]] = []
    for arm in ALL_ARMS:
        if seeds := runs.seeds(scenario, arm):
            cells = [_percent(runs.mean(scenario, arm, seeds, metric)) for metric in METRICS]
            paths = [runs.trajectory(scenario, arm, seed) for seed in seeds]
            path = " → ".join(_percent(mean(stage)) for stage in zip(*paths, strict=True))
            last = [path[-1] for path in paths]
            spread = f"{_percent(min(last))} to {_percent(max(last))}"
            rows.append([arm, str(len(seeds)), *cells, spread, path])
    head = ["arm", "seeds", "overall", "noisy", "clean", "range of seeds", "overall by stage"]
    parts = [
        f"## {scenario}, {runs.measure(scenario)}",
        _table(head, rows),
        _chance_note(runs, scenario),
    ]
    return "\n\n".join(part for part in parts if part) if rows else ""


def _chance_note(runs: Runs, scenario: str) -> str:
    """Says so where the first model is no better than one answer given to everything."""
    lost = runs.at_chance(scenario)
    if not lost:
        return ""
    told = "; ".join(
        f"seed {seed}: {_percent(score)}, one answer for all {_percent(chance)}"
        for seed, (score, chance) in lost.items()
    )
    return (
        f"**At chance**: the first model does not surely beat the commonest answer ({told}). What "
        "the arms do from there says little."
    )


def _triage_table(triage: Sequence[Entry]) -> str:
    by: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for row in _last(triage):
        by[row["family"], row["detector"]].append(row)
    if not by:
        return ""
    detectors = sorted({detector for _, detector in by})
    families = sorted({family for family, _ in by}, key=lambda name: (name != ALL_POISON, name))
    rows: list[list[str]] = []
    for family in families:
        cells = [family]
        for detector in detectors:
            found = by.get((family, detector), [])
            cells += [
                f"{mean(row[metric] for row in found):.3f}" if found else "–"
                for metric in FOUND_METRICS
            ]
        rows.append(cells)
    head = ["family", *(f"{d} {m}" for d in detectors for m in ("precision", "recall", "F1"))]
    note = (
        "Mean over scenarios and seeds, last stage. A family's precision is against rows that are "
        "no poison at all. Poison that nobody corrected (three of ten, flipped labels apart) is "
        "not counted: no arm can learn it."
    )
    return "\n\n".join(("## Poison found", _table(head, rows), note))


def _label_noise_table(entries: Sequence[Entry]) -> str:
    by: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        by[entry.get("benchmark", ""), entry.get("detector", "")].append(entry)
    rows = [
        [
            task,
            detector,
            *(f"{mean(e[m] for e in found):.3f}" for m in ("precision", "recall", "f1")),
        ]
        for (task, detector), found in sorted(by.items())
    ]
    head = ["task", "detector", "precision", "recall", "F1"]
    return f"## Wrong labels found\n\n{_table(head, rows)}" if rows else ""


def _goal_table(found: Sequence[Goal]) -> str:
    rows = [[goal.name, goal.wanted, goal.found, goal.verdict] for goal in found]
    return f"## Goals\n\n{_table(['', 'goal', 'found', ''], rows)}"


def _last(triage: Sequence[Entry]) -> list[Entry]:
    """Rows of each scenario's last stage."""
    last: dict[str, int] = {}
    for row in triage:
        last[row["scenario"]] = max(last.get(row["scenario"], 0), row["stage"])
    return [row for row in triage if row["stage"] == last[row["scenario"]]]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
