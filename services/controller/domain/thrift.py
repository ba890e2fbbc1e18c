"""What the first iteration of a cold start may cost, where there are many rows (paper §2.5).

Nobody knows yet how much a task needs. So it begins with about a quarter of what training plainly
on all rows would take, and D grows geometrically while the target is not reached: a task that
needs few rows never pays for all of them, and one that needs all has paid little more.
"""

from dataclasses import dataclass, replace

from services.controller.domain.moves import RecipeGrid
from shared.domain.pipeline import Recipe


@dataclass(frozen=True, slots=True)
class Thrift:
    """Costs are counted in passes: a row that is learned once in one epoch of one training.

    The first iteration takes ``share`` of the passes of plain fine-tuning, in one training: of two
    that share so few, neither is trained enough to tell a recipe. Each row is learned in at most
    ``epochs`` epochs. Up to ``few`` rows nothing is saved. ``steps``: batches become smaller, not
    below ``batch``, while the training would take fewer. Then D grows by ``growth``.
    """

    share: float = 0.2
    epochs: int = 2
    few: int = 1_000
    steps: int = 120
    batch: int = 8
    growth: float = 3.0

    def rows(self, grid: RecipeGrid, passes: int) -> int:
        """How many rows the first training learns, where plain fine-tuning takes ``passes``."""
        return max(1, int(self.share * passes / self._epochs(grid)))

    def recipe(self, grid: RecipeGrid, base_model: str, *, rows: int) -> Recipe:
        """The first recipe of the grid's first method, made short."""
        method = grid.methods[0]
        first = grid.first(base_model, method, rows=rows)
        h, epochs = first.hyperparameters, self._epochs(grid)
        size = grid.batch_size
        while size > self.batch and rows * epochs < self.steps * size:
            size //= 2
        h = replace(h, epochs=epochs, batch_size=size)
        return replace(first, hyperparameters=h)

    def _epochs(self, grid: RecipeGrid) -> int:
        return min(self.epochs, grid.least_epochs)
