"""The decision threshold of models that name entities, swept on what the gate asks (§4.4, §5.2.3).

A model that names too much is right more often when it names only what it is sure of.
"""

from collections.abc import Callable, Mapping, Sequence

from shared.domain.entities import SeenEntity, write_answer
from shared.domain.rows import EvalRow

THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)

# By row id: what a model saw, named or not.
Seen = Mapping[str, Sequence[SeenEntity]]
Judge = Callable[[str, str], bool]


def outputs_at(seen: Seen, rows: Sequence[EvalRow], threshold: float) -> dict[str, str]:
    """The answers to these rows, by id, that name what is at least so probable."""
    return {
        row.id: write_answer(
            [s.entity for s in seen.get(row.id, ()) if s.probability >= threshold], row.text
        )
        for row in rows
    }


def best_threshold(
    seen: Seen,
    rows: Sequence[EvalRow],
    *,
    is_right: Judge,
    keeps: Callable[[float], bool] = lambda _: True,
    thresholds: Sequence[float] = THRESHOLDS,
) -> float:
    """The threshold at which most of the traffic that these rows stand for is right.

    Held-out failures and guarded passes count together, or a threshold that repairs a few failures
    and breaks many passes would win. Those that the gate ``keeps`` go before all others. The lowest
    of equally good ones; 0 without rows.
    """
    weighed = any(row.weight for row in rows)

    def right(threshold: float) -> float:
        outputs = outputs_at(seen, rows, threshold)
        return sum(
            row.weight if weighed else 1.0 for row in rows if is_right(outputs[row.id], row.target)
        )

    return max(thresholds, key=lambda t: (keeps(t), round(right(t), 9), -t)) if rows else 0.0
