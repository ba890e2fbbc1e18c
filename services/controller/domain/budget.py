"""What a run may use, and whether another iteration fits into what is left."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.controller.domain.run import Run

# Paper §2.7: at least two configurations in parallel.
FEWEST = 2
HOUR = 3600.0
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """Most a run may use; None: no limit of that kind.

    ``trainings`` counts configurations, ``gpu_seconds`` the time of models in training and
    inference, ``money`` that time at ``hour_price``. Minutes are from the run's start. ``refit``:
    whether a candidate may be trained once more, with what was held out.
    """

    iterations: int = 2
    minutes: float = 60.0
    trainings: int | None = None
    gpu_seconds: float | None = None
    money: float | None = None
    hour_price: float = 0.0
    refit: bool = False

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.minutes <= 0:
            raise ValueError(
                f"budget of {self.iterations} iterations and {self.minutes:g} minutes: "
                "give at least 1 iteration and more than 0 minutes"
            )
        if self.trainings is not None and self.trainings < FEWEST:
            raise ValueError(f"budget of {self.trainings} trainings: give at least {FEWEST}")
        if self.money is not None and self.hour_price <= 0:
            raise ValueError(
                f"budget of {self.money:g} money, but an hour costs {self.hour_price:g}: "
                "give the price of an hour of compute"
            )


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used so far. Trainings that failed count, but told no time."""

    trainings: int
    gpu_seconds: float
    money: float


def spent(run: Run, budget: Budget) -> Spent:
    """What the verified iterations of a run cost."""
    seconds = sum(outcome.gpu_seconds for outcome in run.iterations)
    trainings = sum(len(outcome.trainings) for outcome in run.iterations)
    return Spent(trainings, seconds, seconds / HOUR * budget.hour_price)


def trainings_left(run: Run, budget: Budget) -> int | None:
    """How many more configurations may be trained; None: as many as one likes."""
    used = spent(run, budget).trainings
    return None if budget.trainings is None else budget.trainings - used


def used_up(run: Run, budget: Budget, now: datetime) -> str | None:
    """Why no other iteration fits, in words; one is thought to cost what the last one did."""
    return next(_shortages(run, budget, now), None)


def too_dear(run: Run, budget: Budget, now: datetime, *, times: float) -> str | None:
    """Why so many times what the last iteration cost does not fit into what is left, in words."""
    for left, last, _, what in _accounts(run, budget, now):
        if left < last * times:
            return f"it would take about {last * times:.1f} {what}, {left:.1f} are left"
    return None


def refit_fits(run: Run, budget: Budget, now: datetime) -> bool:
    """Whether one more iteration fits, of one training, for the failures that were held out."""
    trainings = trainings_left(run, budget)
    left = iterations_left(run, budget) > 0 and (trainings is None or trainings > 0)
    return budget.refit and left and next(_costs(run, budget, now), None) is None


def iterations_left(run: Run, budget: Budget) -> int:
    return budget.iterations - len(run.iterations)


def _shortages(run: Run, budget: Budget, now: datetime) -> Iterator[str]:
    if len(run.iterations) >= budget.iterations:
        yield f"all {budget.iterations} iterations are used"
    left = trainings_left(run, budget)
    if left is not None and left < FEWEST:
        yield f"{left} of {budget.trainings} trainings are left, an iteration takes {FEWEST}"
    yield from _costs(run, budget, now)


def _costs(run: Run, budget: Budget, now: datetime) -> Iterator[str]:
    for left, last, limit, what in _accounts(run, budget, now):
        yield from _short(left, last, limit, what)


def _accounts(run: Run, budget: Budget, now: datetime) -> Iterator[tuple[float, float, float, str]]:
    """Of each limited kind what is left, what the last iteration took, the limit and its name."""
    # Whole microseconds: as fractions, what fits exactly may seem not to.
    over = run.started_at + timedelta(minutes=budget.minutes) - now
    yield over / MINUTE, run.last_duration / MINUTE, budget.minutes, "minutes"
    used, cost = spent(run, budget), run.iterations[-1].gpu_seconds
    if budget.gpu_seconds is not None:
        over = budget.gpu_seconds - used.gpu_seconds
        yield over, cost, budget.gpu_seconds, "GPU-seconds"
    if budget.money is not None:
        price = cost / HOUR * budget.hour_price
        yield budget.money - used.money, price, budget.money, "money"


def _short(left: float, last: float, limit: float, what: str) -> Iterator[str]:
    if left <= 0:
        yield f"all {limit:g} {what} are used"
    elif left < last:
        digits = 3 if limit < 10 else 1
        yield f"{left:.{digits}f} {what} are left, the last iteration took {last:.{digits}f}"
