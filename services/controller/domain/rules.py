"""The rules of one controller: its policy with the limits, budget and ranges it was given."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.controller.domain import cold_start, policy
from services.controller.domain.budget import Budget
from services.controller.domain.decision import Decision
from services.controller.domain.moves import DataGrid, RecipeGrid
from services.controller.domain.proposals import Material
from services.controller.domain.run import Run
from services.controller.domain.search import SearchPolicy, material_of
from shared.domain.evaluation import Limits


@dataclass(frozen=True, slots=True)
class Rules:
    """How every run of a controller is decided; that of a cold start keeps to its own ranges."""

    limits: Limits
    budget: Budget
    search: SearchPolicy = policy.SEARCH
    recipes: RecipeGrid = policy.RECIPES

    def decide(self, run: Run, now: datetime) -> Decision:
        """How a run goes on after its last verdicts. Raises BadInput when no decision is due."""
        cold = not run.deployed.trained
        return policy.decide(
            run,
            limits=replace(self.limits, target=run.target or self.limits.target),
            # What a first version is measured on stays locked: no refit may learn it.
            budget=replace(self.budget, refit=False) if cold else self.budget,
            now=now,
            recipes=self._recipes(run),
            data=self._data(run),
            search=self.search,
        )

    def material(self, run: Run) -> Material:
        """What a run's next iteration can be made of."""
        recipes = self._recipes(run).for_task(run.deployed.task)
        return material_of(run, recipes=recipes, data=self._data(run))

    def _recipes(self, run: Run) -> RecipeGrid:
        if run.deployed.trained:
            return self.recipes
        return cold_start.recipes_for(self.recipes, run.deployed.task, rows=run.material)

    def _data(self, run: Run) -> DataGrid:
        return policy.DATA if run.deployed.trained else cold_start.data_for(run.material)
