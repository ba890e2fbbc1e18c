"""How a result says which command made it."""

import shlex
from collections.abc import Sequence

_PLACES = ("--data", "--work", "--out")


def told(module: str, given: Sequence[str]) -> str:
    """The command that was given, but for where this machine keeps its files."""
    said, words = list[str](), iter(given)
    for word in words:
        if word in _PLACES:
            next(words, None)
        elif not word.startswith(tuple(f"{place}=" for place in _PLACES)):
            said.append(word)
    return shlex.join(["python", "-m", module, *said])
