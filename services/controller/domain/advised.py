"""A chat model's move becomes the next iteration, or the rules' plan says why it did not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from services.controller.domain.advice_answers import DataChange, MoveAnswer
from services.controller.domain.advised_trainings import Training, training
from services.controller.domain.budget import FEWEST, too_dear
from services.controller.domain.decision import Iterate, Move
from services.controller.domain.grounds import Grounds
from services.controller.domain.search import best_of, grown
from shared.domain.chat import tidy
from shared.domain.pipeline import DataSpec, Recipe

_WHY_SIGNS = 200
# A training at a rate that is no higher than this many times a known one comes to its end.
_FASTER = 4.0


def heeded(answer: MoveAnswer, grounds: Grounds) -> Iterate:
    """The proposed iteration where it may be done, else the rules' plan with the reason."""
    try:
        return _taken(answer, grounds)
    except ValueError as error:
        return unheeded(grounds.plan, str(error))


def unheeded(plan: Iterate, why: str) -> Iterate:
    """The rules' plan; its reason tells why no advice was taken."""
    told = tidy(why, _WHY_SIGNS)
    return replace(plan, reason=f"{plan.reason}; the chat model's move was not taken: {told}")


def _taken(answer: MoveAnswer, grounds: Grounds) -> Iterate:
    # More than fit are the first of them.
    answer = answer.model_copy(update={"configurations": answer.configurations[: grounds.most]})
    move = _move(answer, grounds)
    data = _data(answer, move, grounds)
    trainings = [training(one, move, data, grounds) for one in answer.configurations]
    _check_trainable(trainings, grounds)
    _check_new(trainings, data, grounds)
    _check_cost(trainings, data, grounds)
    return Iterate(
        data,
        tuple(form for recipe, _ in trainings for form in grounds.material.forms(recipe)),
        move,
        f"proposed by the chat model: {answer.reason or 'it gave no reason'}",
        tuple(origins for _, origins in trainings),
    )


def _move(answer: MoveAnswer, grounds: Grounds) -> Move:
    move = Move(answer.move)
    if move not in grounds.moves:
        raise ValueError(f"{move} is none of the moves that may be proposed here")
    fused = any(c.fused_with not in (None, c.starts_from) for c in answer.configurations)
    if move is Move.FUSE and not fused:
        raise ValueError("fuse takes two pipelines, and it named one")
    return move


def _data(answer: MoveAnswer, move: Move, grounds: Grounds) -> DataSpec:
    before = grounds.node(answer.data_of).data
    data = _composed(before, answer.data)
    grounds.ranges.check(data)
    changed = data != before
    if move is Move.TUNE and changed:
        raise ValueError("tune holds the training set, and it changed it")
    if move is Move.REBUILD and not changed:
        raise ValueError("rebuild_data changes the training set, and it did not")
    if move is Move.SURGICAL and data.surgical <= before.surgical:
        raise ValueError("surgical adds examples for each pattern, and it added none")
    best, last = best_of(grounds.run.iterations), grounds.run.iterations[-1]
    # Never compensate for a lower score with more data (paper §2.4).
    if last.standing < best.standing and grown(data, best.data):
        raise ValueError("more data after a lower score")
    return data


def _composed(before: DataSpec, change: DataChange) -> DataSpec:
    shares = change.shares
    if shares is not None:
        total = shares.gold + shares.hard + shares.replay
        # Rounded as those of the rules are, so that equal compositions compare equal.
        hard, replay = round(shares.hard / total, 4), round(shares.replay / total, 4)
        gold = round(1 - hard - replay, 4) + 0.0
        before = replace(before, gold=gold, hard=hard, replay=replay)
    return replace(
        before,
        size=before.size if change.size is None else change.size,
        surgical=before.surgical if change.surgical is None else change.surgical,
        noisy=before.noisy if change.noisy is None else round(change.noisy, 4),
    )


def _check_trainable(trainings: Sequence[Training], grounds: Grounds) -> None:
    """One of them at least is near to what was trained: a step in which all fail ends a run."""
    known = [node.recipe for node in grounds.open.values() if node.evaluated]
    if not any(_near(recipe, one) for recipe, _ in trainings for one in known):
        raise ValueError(
            "none of its configurations has a way of answering and about a learning rate that "
            "were trained before"
        )


def _near(recipe: Recipe, known: Recipe) -> bool:
    h, had = recipe.hyperparameters, known.hyperparameters
    return (
        recipe.strategy.method is known.strategy.method
        and recipe.strategy.supervision is known.strategy.supervision
        # Some chat templates know no system role: where one was taken, another will be.
        and (h.system_prompt == had.system_prompt or bool(had.system_prompt))
        and h.learning_rate <= _FASTER * had.learning_rate
    )


def _check_new(trainings: Sequence[Training], data: DataSpec, grounds: Grounds) -> None:
    rows = grounds.material.rows
    tried = {(_same(each, rows), recipe) for each, recipe in grounds.material.graph.tried}
    for recipe, _ in trainings:
        if (_same(data, rows), recipe) in tried:
            raise ValueError(f"{recipe.name} was tried on such a training set, or is named twice")
        tried.add((_same(data, rows), recipe))
    if len(trainings) < FEWEST:
        raise ValueError(f"{len(trainings)} configurations, at least {FEWEST} are trained")


def _check_cost(trainings: Sequence[Training], data: DataSpec, grounds: Grounds) -> None:
    last, rows = grounds.run.iterations[-1], grounds.material.rows
    now = sum(_passes(data, (recipe for recipe, _ in trainings), rows))
    before = sum(_passes(last.data, last.trainings, rows))
    why = too_dear(grounds.run, grounds.budget, grounds.now, times=now / max(before, 1))
    if why is not None:
        raise ValueError(why)


def _passes(data: DataSpec, recipes: Iterable[Recipe], rows: int) -> Iterator[float]:
    """Rows that each training learns, once for each epoch."""
    size = min(data.size, rows or data.size) * (1 + data.noisy)
    for recipe in recipes:
        yield size * recipe.hyperparameters.epochs * recipe.strategy.orders


def _same(data: DataSpec, rows: int) -> DataSpec:
    """What stands for all that give one set: where all rows are in, their shares are too."""
    if not 0 < rows <= data.size:
        return data
    plain = DataSpec()
    return replace(data, size=rows, gold=plain.gold, hard=plain.hard, replay=plain.replay)
