"""The first run of a model that does not exist yet (paper §2.5): how it begins, and its plan."""

from dataclasses import replace
from datetime import datetime

from services.controller.domain.decision import Iterate, Move
from services.controller.domain.moves import DataGrid, RecipeGrid
from services.controller.domain.run import Run, asked
from shared.domain.lineage import untrained
from shared.domain.pipeline import Method
from shared.events import TaskPrepared

# Nobody has seen the noise of its traffic yet.
DATA = DataGrid(noisy=0.0, most_noisy=0.0)


def without_parent(recipes: RecipeGrid) -> RecipeGrid:
    """The same recipes where there is no parent to be held to or blended with."""
    return replace(recipes, congruence=0.0, blends=())


def first_plan(event: TaskPrepared, *, recipes: RecipeGrid, data: DataGrid = DATA) -> Iterate:
    """LoRA and full fine-tuning on what was acquired."""
    grid = without_parent(recipes.for_task(event.task))
    spec = data.first(
        repair=0, labels=len(event.task.labels), has_parent=False, material=event.rows
    )
    rows = min(spec.size, event.rows)
    firsts = (grid.first(event.base_model, method, rows=rows) for method in Method)
    return Iterate(
        spec,
        tuple(firsts),
        Move.FIRST,
        f"cold start: learn {event.description[:120]!r} from {event.rows} rows of {event.source}",
    )


def begin(event: TaskPrepared, plan: Iterate, now: datetime) -> Run:
    """A run in its first iteration; its locked set stays what the event names, by digest."""
    return Run(
        id=event.run_id,
        model=event.model,
        diagnosis_event=event.submission,
        deployed=untrained(event.model, event.task, event.base_model),
        diagnosis=event.material,
        evaluation_set=event.evaluation_set,
        started_at=now,
        state=asked(1, plan),
        material=event.rows,
        target=event.target,
    )
