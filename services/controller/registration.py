"""Whether a model that shall be registered can be improved at all: asked once, at the door.

What is wrong with its rows would otherwise come up in the middle of a run, or never.
"""

from collections.abc import Callable

from shared.chat.settings import refuse_unjudged
from shared.data_sets import (
    PlacedRow,
    check_evaluation,
    check_labels,
    check_training,
    placed,
    refuse_leaks,
)
from shared.domain.artifacts import ArtifactRef
from shared.domain.rows import EvalRow, LearnedRow, Row, load_rows
from shared.errors import BadInput, PermanentError
from shared.events import ModelRegistered
from shared.ports import ArtifactStore


def check_registration(artifacts: ArtifactStore, event: ModelRegistered, *, chat: bool) -> None:
    """Raises BadInput naming what prevents it, TransientError when the store is away.

    ``chat``: whether there is a chat model, which some scorers ask.
    """
    refuse_unjudged(event.task, chat=chat)
    if not event.base_model.strip():
        raise BadInput("base_model is empty: name what new versions are trained from")
    check_labels(event.task)
    training, evaluation = list[PlacedRow](), list[PlacedRow]()
    if event.training_set:
        training = _rows(artifacts, event.training_set, "training_set", _learned)
        check_training(training, event.task, "training_set")
    if event.evaluation_set:
        evaluation = _rows(artifacts, event.evaluation_set, "evaluation_set", _measured)
        check_evaluation(evaluation, event.task, "evaluation_set")
    refuse_leaks(training, evaluation, remedy="take it out of the evaluation set")


def _rows(
    artifacts: ArtifactStore, ref: ArtifactRef, source: str, load: Callable[[bytes], list[Row]]
) -> list[PlacedRow]:
    try:
        rows = load(artifacts.get(ref))
    except PermanentError as error:
        raise BadInput(f"{source} {ref}: {error}") from None
    return placed(rows, source)


def _learned(data: bytes) -> list[Row]:
    return [Row(row.id, row.text, row.target) for row in load_rows(data, LearnedRow)]


def _measured(data: bytes) -> list[Row]:
    return [Row(row.id, row.text, row.target) for row in load_rows(data, EvalRow)]
