"""What the first iteration of a cold start may cost, where there are many rows (paper §2.5).

Nobody knows yet how much a task needs. So it begins with about a quarter of what training plainly
on all rows would take, and D grows geometrically while the target is not reached: a task that
needs few rows never pays for all of them, and one that needs all has paid little more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.controller.domain.moves import RecipeGrid
from shared.domain.pipeline import Method, Recipe


@dataclass(frozen=True, slots=True)
class Thrift:
    """Costs are counted in passes: a row that is learned once in one epoch of one training.

    All trainings of a first iteration take ``share`` of the passes of plain fine-tuning; below a
    quarter, since two at once slow each other down and each loads the base model. ``epochs`` are
    those of its two configurations, the second at ``rate`` times the learning rate of the first.
    Up to ``few`` rows nothing is saved. ``steps``: batches become smaller, not below ``batch``,
    while the first configuration would take fewer.
    """

    share: float = 0.2
    epochs: tuple[int, int] = (2, 1)
    rate: float = 2.0
    few: int = 1_000
    steps: int = 120
    batch: int = 8
    growth: float = 3.0

    def rows(self, passes: int) -> int:
        """How many rows the two configurations learn, where plain fine-tuning takes ``passes``."""
        return max(1, int(self.share * passes / sum(self.epochs)))

    def recipes(self, grid: RecipeGrid, base_model: str, *, rows: int) -> Iterator[Recipe]:
        """By LoRA: it bears a high rate, which few steps need, and is cheap to serve."""
        first = grid.first(base_model, Method.LORA, rows=rows)
        size = grid.batch_size
        while size > self.batch and rows * self.epochs[0] < self.steps * size:
            size //= 2
        for epochs, rate in zip(self.epochs, (1.0, self.rate), strict=True):
            h = first.hyperparameters
            h = replace(h, epochs=epochs, batch_size=size, learning_rate=h.learning_rate * rate)
            yield replace(first, hyperparameters=h)
