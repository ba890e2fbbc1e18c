"""The ranges that a pipeline's values may lie in: those of the grids, and what was tried."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from services.controller.domain.proposals import Material
from shared.domain.pipeline import DataSpec, Hyperparameters

Number = TypeVar("Number", int, float)
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Ranges:
    """Lowest and highest of each value, inclusive."""

    gold: tuple[float, float]
    hard: tuple[float, float]
    replay: tuple[float, float]
    noisy: tuple[float, float]
    size: tuple[int, int]
    surgical: tuple[int, int]
    learning_rate: tuple[float, float]
    epochs: tuple[int, int]
    lora_rank: tuple[int, int]

    def check(self, part: DataSpec | Hyperparameters) -> None:
        """Raises ValueError for the first value outside, with its range."""
        for name in self.__slots__:
            value = getattr(part, name, None)
            low, high = getattr(self, name)
            if value is not None and not low - _ROUNDING <= value <= high + _ROUNDING:
                raise ValueError(f"{name}={value:g}: must lie between {low:g} and {high:g}")


def ranges_of(material: Material) -> Ranges:
    """What may be chosen from; a first plan may lie outside the grid, and what is may stay."""
    grid, recipes = material.data, material.recipes
    nodes = tuple(material.graph.nodes.values())
    sets = tuple(node.data for node in nodes)
    fits = tuple(node.recipe.hyperparameters for node in nodes)
    replays = any(data.replay for data in sets)
    most_hard = grid.most_hard if replays else grid.most_orphan_hard
    most_gold = grid.most_gold if replays else grid.most_orphan_gold
    most_replay = grid.most_replay if replays else 0.0
    least_replay = max(1 - most_gold - most_hard, 0.0) if replays else 0.0
    # More rows than there are make the same set.
    largest = min(grid.sizes[1], material.rows or grid.sizes[1])
    return Ranges(
        gold=_wide((1 - most_hard - most_replay, most_gold), sets, lambda data: data.gold),
        hard=_wide((grid.least_hard, most_hard), sets, lambda data: data.hard),
        replay=_wide((least_replay, most_replay), sets, lambda data: data.replay),
        noisy=_wide((0.0, grid.most_noisy), sets, lambda data: data.noisy),
        size=_wide((grid.sizes[0], largest), sets, lambda data: data.size),
        surgical=_wide((0, grid.most_surgical), sets, lambda data: data.surgical),
        learning_rate=_wide(recipes.rates, fits, lambda h: h.learning_rate),
        epochs=_wide(recipes.epoch_range, fits, lambda h: h.epochs),
        lora_rank=_wide(recipes.ranks, fits, lambda h: h.lora_rank),
    )


_Part = TypeVar("_Part", DataSpec, Hyperparameters)


def _wide(
    bounds: tuple[Number, Number], tried: Iterable[_Part], value: Callable[[_Part], Number]
) -> tuple[Number, Number]:
    values = [value(part) for part in tried]
    return min(bounds[0], *values), max(bounds[1], *values)
