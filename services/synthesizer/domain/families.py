"""Which family of tasks a description and its rows speak of (paper §2.5)."""

import re
from collections import Counter

from shared.domain.row_files import FORMS
from shared.domain.tasks import TaskKind
from shared.errors import BadInput

# The others are known by name only: nothing reads rows of theirs for a start.
_STARTED = tuple(FORMS)
_WORDS: dict[str, str] = {
    TaskKind.CLASSIFICATION: (
        "classify classifies classification categorise categorize category categories label labels "
        "intent intents route routing triage detect detection sentiment spam topic topics sort "
        "flag moderate"
    ),
    TaskKind.NER: (
        "ner entity entities extract extraction tag tagging span spans mention mentions redact "
        "anonymise anonymize"
    ),
    TaskKind.GENERATION: (
        "generate generation write rewrite summarise summarize summary summaries translate answer "
        "answers chat reply replies draft compose solve"
    ),
}
_FAMILY = {word: family for family, words in _WORDS.items() for word in words.split()}
_WORD = re.compile(r"[a-z]+")


def decide_family(description: str, *, asked: str | None, rows: TaskKind | None) -> TaskKind:
    """The kind of task: as asked, else as the rows are formed, else as the description says.

    Raises BadInput where these contradict each other, none tells, or nobody can start it.
    """
    if asked is not None and asked not in list(TaskKind):
        raise BadInput(f"task family {asked!r} is unknown: give one of {_known()}")
    found = asked or rows or _named(description)
    if found not in _STARTED:
        raise BadInput(
            f"{description[:80]!r} asks for {found}, which cannot be started cold: give one of "
            f"{_known()}, or register a model that does it already with pioneer models register"
        )
    if rows and found != rows:
        raise BadInput(
            f"task family {asked!r} is asked for, but the rows are of {rows.value}: give rows of "
            f"its form, or leave the family out"
        )
    return TaskKind(found)


def _named(description: str) -> str:
    """The family most of whose words a description has; the first of them decides a tie."""
    said = [_FAMILY[word] for word in _WORD.findall(description.casefold()) if word in _FAMILY]
    if not said:
        raise BadInput(
            f"{description[:80]!r} does not say which family of tasks it is: say classify or "
            f"extract entities in it, or give one of {_known()}"
        )
    # Counter keeps the order of first sight among equals.
    return Counter(said).most_common(1)[0][0]


def _known() -> str:
    return ", ".join(kind.value for kind in _STARTED)
