"""What differs from one pipeline to the next, in words."""

from collections.abc import Iterator
from dataclasses import fields

from services.controller.domain.graph import Node
from shared.domain.chat import tidy
from shared.domain.pipeline import DataSpec, Hyperparameters, Strategy

_PROMPT_SIGNS = 120
_SHARES = ("gold", "hard", "replay", "noisy")


def changes(before: Node, after: Node) -> list[str]:
    """Each difference as "name old → new": D first, then S, then H."""
    return [
        *_differences(before.data, after.data),
        *_differences(before.recipe.strategy, after.recipe.strategy),
        *_differences(before.recipe.hyperparameters, after.recipe.hyperparameters),
    ]


def in_words(before: Node, after: Node) -> str:
    """The differences in a line."""
    return ", ".join(changes(before, after)) or "nothing"


def composed(data: DataSpec) -> str:
    """What D aims at, in a line."""
    parts = [f"{name} {getattr(data, name):.0%}" for name in _SHARES if getattr(data, name)]
    extra = [f"{data.surgical} more for each pattern"] if data.surgical else []
    held = ["with what was held out"] if data.heldout else []
    return ", ".join([f"{data.size} rows", *parts, *extra, *held])


Part = DataSpec | Hyperparameters | Strategy


def _differences(before: Part, after: Part) -> Iterator[str]:
    for field in fields(before):
        was, now = getattr(before, field.name), getattr(after, field.name)
        if was != now:
            name = field.name.replace("_", " ")
            yield f"{name} {_told(field.name, was)} → {_told(field.name, now)}"


def _told(name: str, value: object) -> str:
    if name in _SHARES and isinstance(value, float):
        return f"{value:.0%}"
    if name == "system_prompt":
        return repr(tidy(str(value), _PROMPT_SIGNS))
    return f"{value:g}" if isinstance(value, float) else str(value)
