"""The results as Markdown: means by strategy, whether search is ahead, and every row."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from bench.search.results import Entry
from bench.search.strategies import STRATEGIES

SEARCH = "search"
OTHERS = tuple(name for name in STRATEGIES if name != SEARCH)
POINTS = 100


def report(content: Mapping[str, Any]) -> str:
    """The whole file. Means are of the seeds that every strategy has finished."""
    rows: list[Entry] = content["rows"]
    commands = dict.fromkeys(f"`{row['command']}`" for row in rows)
    lines = ["# Search over pipelines", "", "  \n".join(commands), ""]
    lines += [
        "Each strategy has the same budget of trainings. Accuracy is on test rows that nothing "
        "chose on; the log is corrected truthfully, without poison. Means need all strategies.",
        "",
    ]
    lines += [*_means(rows), "", *_verdicts(rows), "", *_rows(rows)]
    return "\n".join(lines) + "\n"


def _means(rows: Sequence[Entry]) -> Iterator[str]:
    yield (
        "| scenario | strategy | seeds | accuracy before | accuracy | held-out score | admitted "
        "| trainings | seconds |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for scenario, by_strategy in _complete(rows).items():
        for strategy, found in by_strategy.items():
            scores = [row["score"] for row in found if row["score"] is not None]
            yield _line(
                scenario,
                strategy,
                len(found),
                _percent(mean(row["accuracy_before"] for row in found)),
                _percent(mean(row["accuracy"] for row in found)),
                f"{mean(scores):.3f}" if scores else "–",
                f"{sum(row['admitted'] for row in found)} of {len(found)}",
                f"{mean(row['trainings'] for row in found):.1f} of {found[0]['budget']}",
                f"{mean(row['seconds'] for row in found):.0f}",
            )


def _verdicts(rows: Sequence[Entry]) -> Iterator[str]:
    """Where search is ahead, in points of accuracy, with the seeds it wins."""
    for scenario, found in _complete(rows).items():
        for other in OTHERS:
            gains = [
                POINTS * (mine["accuracy"] - theirs["accuracy"])
                for mine, theirs in zip(found[SEARCH], found[other], strict=True)
            ]
            won = sum(gain > 0 for gain in gains)
            word = "beats" if mean(gains) > 0 else "does not beat"
            yield (
                f"- {scenario}: search {word} {other}, {mean(gains):+.2f} points in the mean; "
                f"ahead in {won} of {len(gains)} seeds"
            )


def _rows(rows: Sequence[Entry]) -> Iterator[str]:
    yield (
        "| scenario | seed | strategy | trainings | most rows | chosen | held-out score "
        "| regressions | accuracy |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        score, broken = row["score"], row["regressions"]
        yield _line(
            row["scenario"],
            row["seed"],
            row["strategy"],
            f"{row['trainings']} of {row['budget']}",
            row["most_rows"],
            row["chosen"],
            "–" if score is None else f"{score:.3f}",
            "–" if broken is None else broken,
            _percent(row["accuracy"]),
        )


def _complete(rows: Sequence[Entry]) -> dict[str, dict[str, list[Entry]]]:
    """Rows by scenario and strategy, of the seeds that all strategies have; in order of seeds."""
    found: dict[str, dict[int, dict[str, Entry]]] = defaultdict(lambda: defaultdict(dict))
    for row in _of_one_budget(rows):
        found[row["scenario"]][row["seed"]][row["strategy"]] = row
    whole = {
        scenario: [one for _, one in sorted(seeds.items()) if set(STRATEGIES) <= set(one)]
        for scenario, seeds in sorted(found.items())
    }
    return {
        scenario: {name: [one[name] for one in seeds] for name in STRATEGIES}
        for scenario, seeds in whole.items()
        if seeds
    }


def _of_one_budget(rows: Sequence[Entry]) -> Iterator[Entry]:
    """Of each scenario the rows of one budget and one bound on rows: what has most whole seeds."""
    found: dict[str, dict[tuple[int, int], list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["scenario"]][row["budget"], row["most_rows"]].append(row)
    for budgets in found.values():
        yield from max(budgets.items(), key=lambda item: (_whole_seeds(item[1]), item[0]))[1]


def _whole_seeds(rows: Sequence[Entry]) -> int:
    """How many seeds every strategy has run."""
    ran: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        ran[row["seed"]].add(row["strategy"])
    return sum(set(STRATEGIES) <= names for names in ran.values())


def _line(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _percent(share: float) -> str:
    return f"{POINTS * share:.2f} %"
