"""The first run of a model that does not exist yet (paper §2.5): how it begins, and its plan."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.controller.domain.decision import Iterate, Move
from services.controller.domain.moves import DataGrid, RecipeGrid, Step
from services.controller.domain.run import Run
from services.controller.domain.states import asked
from services.controller.domain.thrift import Thrift
from shared.domain.lineage import untrained
from shared.domain.pipeline import Method, Recipe
from shared.domain.tasks import Head, Task
from shared.events import TaskPrepared
from shared.tasks import behaviour

# Nobody has seen the noise of its traffic yet.
DATA = DataGrid(noisy=0.0, most_noisy=0.0)
THRIFT = Thrift()


def plain(recipes: RecipeGrid, task: Task, base_model: str, *, rows: int) -> Recipe:
    """What is trained without a search, once on all rows: LoRA of what writes, else all weights."""
    method = Method.LORA if task.form is not None else Method.FULL
    return recipes.for_task(task).first(base_model, method, rows=rows)


def recipes_for(
    recipes: RecipeGrid, task: Task, *, rows: int, thrift: Thrift = THRIFT
) -> RecipeGrid:
    """The same recipes where there is no parent to be held to or blended with.

    By one method where trainings are long: of a model that writes, or on many ``rows``. That is
    LoRA, which is cheap to serve, but all weights for names in a text: they need more change.
    """
    methods = recipes.methods
    if task.form is not None or rows > thrift.few:
        tags = behaviour(task).head is Head.WORDS
        methods = (Method.FULL,) if tags else (Method.LORA,)
    return replace(recipes.for_task(task), congruence=0.0, blends=(), methods=methods)


def data_for(rows: int, *, data: DataGrid = DATA, thrift: Thrift = THRIFT) -> DataGrid:
    """How D may move where there are so many rows to learn: many are taken step by step."""
    if rows <= thrift.few:
        return data
    return replace(data, grows=True, growth=thrift.growth, sizes=(1, rows))


def first_plan(
    event: TaskPrepared, *, recipes: RecipeGrid, data: DataGrid = DATA, thrift: Thrift = THRIFT
) -> Iterate:
    """LoRA and full fine-tuning on few rows; on a part of many, one short training."""
    grid = recipes_for(recipes, event.task, rows=event.rows, thrift=thrift)
    spec = data.first(
        repair=0, labels=len(event.task.labels), has_parent=False, material=event.rows
    )
    if event.rows > thrift.few:
        total = event.rows + sum(event.parts.values())
        usual = plain(recipes, event.task, event.base_model, rows=total).hyperparameters
        size = min(thrift.rows(grid, total * usual.epochs), event.rows)
        spec = replace(spec, size=size)
        firsts = (thrift.recipe(grid, event.base_model, rows=size),)
    else:
        rows = min(spec.size, event.rows)
        firsts = tuple(_alike(grid, event.base_model, rows=rows))
    return Iterate(
        spec,
        firsts,
        Move.FIRST,
        f"cold start: learn {event.description[:120]!r} from {event.rows} rows of {event.source}",
    )


def _alike(grid: RecipeGrid, base_model: str, *, rows: int) -> Iterator[Recipe]:
    """The first recipe of each method; where there is one method, at half its rate too."""
    firsts = [grid.first(base_model, method, rows=rows) for method in grid.methods]
    yield from firsts
    if len(firsts) == 1:
        yield from grid.around(firsts[0], (Step(rate=0.5),))


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
        target_from=event.target_from,
        dropped=event.dropped,
    )
