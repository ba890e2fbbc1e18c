"""Which family of tasks a description and its rows speak of (paper §2.5)."""

import re
from collections import Counter
from collections.abc import Mapping

from shared.domain.tasks import TaskKind
from shared.errors import BadInput

# What a task is trained from where nobody said it.
_BASES: Mapping[TaskKind, str] = {
    TaskKind.CLASSIFICATION: "sentence-transformers/all-MiniLM-L6-v2",
    TaskKind.NER: "sentence-transformers/all-MiniLM-L6-v2",
}
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

    Labels may be written, where that is asked for. Raises BadInput where these contradict each
    other or none tells.
    """
    if asked is not None and asked not in list(TaskKind):
        raise BadInput(f"task family {asked!r} is unknown: give one of {_known()}")
    found = TaskKind(asked or rows or _named(description))
    written = (found, rows) == (TaskKind.GENERATION, TaskKind.CLASSIFICATION)
    if rows and found is not rows and not written:
        raise BadInput(
            f"task family {asked!r} is asked for, but the rows are of {rows.value}: give rows of "
            f"its form, or leave the family out"
        )
    return found


def base_of(kind: TaskKind, asked: str | None) -> str:
    """What to train from: as asked, else the family's own. Raises BadInput where it has none."""
    if asked or kind in _BASES:
        return asked or _BASES[kind]
    raise BadInput(
        "a model that writes is trained from a causal language model: name one with --base-model, "
        "such as google/gemma-3-270m-it"
    )


def _named(description: str) -> str:
    """The family most of whose words a description has; the first of them decides a tie."""
    said = [_FAMILY[word] for word in _WORD.findall(description.casefold()) if word in _FAMILY]
    if not said:
        raise BadInput(
            f"{description[:80]!r} does not say which family of tasks it is: say classify, "
            f"extract entities or answer in it, or give one of {_known()}"
        )
    # Counter keeps the order of first sight among equals.
    return Counter(said).most_common(1)[0][0]


def _known() -> str:
    return ", ".join(kind.value for kind in TaskKind)
