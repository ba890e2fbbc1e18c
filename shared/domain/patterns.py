"""Error patterns: groups of failures that share a confusion and a meaning (paper §2.6 step 2)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """A cluster of failures.

    ``expected`` and ``predicted`` name the confused pair; ``predicted`` is None when failures of
    one expected label went to many places. ``members`` are trace ids, most typical first.
    ``share`` is the part of all failures, ``mean_words`` the mean input length.
    """

    id: str
    name: str
    expected: str
    predicted: str | None
    members: tuple[str, ...]
    share: float
    mean_words: float
    examples: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.members)
