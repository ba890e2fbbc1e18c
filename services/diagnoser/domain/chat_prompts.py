"""What the diagnoser asks a chat model.

Change a word, an answer type or a limit, and the prompt gets the next version: the ledger keeps the
version beside each answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.diagnoser.domain.chat_answers import (
    CLEAN,
    JudgeAnswer,
    NameAnswer,
    ProbesAnswer,
    TriageAnswer,
)
from shared.domain.chat import Prompt, Question
from shared.domain.patterns import ErrorPattern
from shared.domain.tasks import Task
from shared.domain.traces import UnjudgedTrace
from shared.domain.triage import Family

_EXAMPLES = 5

_FAMILIES: Mapping[Family, str] = {
    Family.MISSPELLING: "typing errors",
    Family.GRAMMAR: "broken grammar",
    Family.CASING: "odd upper and lower case",
    Family.PUNCTUATION: "odd or missing punctuation",
    Family.SLANG: "slang, abbreviations, emoji",
    Family.CODE_SWITCH: "words of another language mixed in",
    Family.PREAMBLE: "small talk around the request",
    Family.FORMAT_REQUEST: "asks for a form of the answer",
    Family.TRUNCATION: "cut off, but the meaning is still clear",
    Family.MARKUP: "markup or code around the request",
    Family.REPETITION: "words or sentences repeated",
    Family.VERBOSE: "needlessly long",
    Family.ENCODING: "damaged characters",
    Family.METADATA: "log or mail fields around the request",
    Family.EMPTY: "says nothing",
    Family.GIBBERISH: "no language",
    Family.LABEL_FLIP: "the given answer is wrong, another label is right",
    Family.NEGATION: "a negation makes the given answer wrong",
    Family.FALSE_PREMISE: "rests on something untrue",
    Family.PROMPT_INJECTION: "tries to instruct the system that reads it",
    Family.JAILBREAK: "tries to talk the system out of its rules",
    Family.OFF_DOMAIN: "about something that no label covers",
    Family.META_QUESTION: "about the system, not for it",
    Family.ASSUMED_CONTEXT: "cannot be understood without an earlier message",
    Family.VERBATIM_RECALL: "asks to recite earlier data",
    Family.WRONG_REFERENCE: "the reference answer itself is in error",
    Family.DISAGREEMENT: "people would answer it differently",
    Family.AMBIGUOUS: "two labels fit equally well",
    Family.SCHEMA_MISMATCH: "the labels have no place for it",
}


@dataclass(frozen=True, slots=True)
class CorrectedRow:
    """A failure with the answer that somebody gave for the right one."""

    id: str
    text: str
    output: str
    corrected: str


JUDGE = Prompt(
    name="judge-trace",
    version=1,
    system=(
        "You check the answers of a text classifier. You are given the labels it knows, one "
        "input, and the label it answered. Decide which label is right for the input. Say pass if "
        "the classifier's label is right, fail if another of the labels clearly is, and abstain "
        "if you cannot tell, if several fit, or if the input is no request at all. Give the right "
        "label as answer, or null if you do not know it, and one short sentence as reason."
    ),
    answer=JudgeAnswer,
    max_tokens=200,
)

TRIAGE = Prompt(
    name="second-opinion",
    version=1,
    system=(
        "You decide what may be learned from a failure of a text classifier. You are given the "
        "labels, an input, the label that the classifier answered, and the label that somebody "
        "gave as the right one. Say what is the matter with this row:\n"
        + "\n".join(f"- {family.value}: {words}" for family, words in _FAMILIES.items())
        + f"\n- {CLEAN}: none of these, the input is plain and the given label is right\n"
        "Choose the one that matters most; what makes the given label wrong outweighs how the "
        "input is written. Give your confidence from 0 to 1 and one short sentence as reason."
    ),
    answer=TriageAnswer,
    max_tokens=200,
)

NAME = Prompt(
    name="name-pattern",
    version=1,
    system=(
        "You name a group of failures of a text classifier for the people who look after it. You "
        "are given the label that was right, the label it answered instead, and typical inputs. "
        "Give a name of at most eight words that says what goes wrong."
    ),
    answer=NameAnswer,
    max_tokens=100,
)

PROBES = Prompt(
    name="write-probes",
    version=1,
    system=(
        "You write test inputs for a text classifier. You are given a label that it often "
        "misses, the label it answers instead, and inputs it failed on. Write new inputs, as "
        "different from each other as real users' are, that lie near the border of the two "
        "labels. Each has one right label. Keep to the length and tone of the inputs given, and "
        "do not repeat them."
    ),
    answer=ProbesAnswer,
    max_tokens=1_500,
)


def judge_question(trace: UnjudgedTrace, task: Task) -> Question[JudgeAnswer]:
    """Is this answer right?"""
    return JUDGE.about(
        trace.id,
        [("input", trace.text), ("classifier-answer", trace.output)],
        facts=_labels(task),
        choices={"answer": task.labels},
    )


def triage_question(row: CorrectedRow, task: Task) -> Question[TriageAnswer]:
    """What is the matter with this row? What the other signals found is not told."""
    return TRIAGE.about(
        row.id,
        [
            ("input", row.text),
            ("classifier-answer", row.output),
            ("given-label", row.corrected),
        ],
        facts=_labels(task),
        choices={"family": (CLEAN, *(family.value for family in Family))},
    )


def name_question(pattern: ErrorPattern) -> Question[NameAnswer]:
    """What should people call this group?"""
    return NAME.about(
        pattern.id, _confusion(pattern), facts=f"{pattern.size} failures are in the group."
    )


def probes_question(pattern: ErrorPattern, task: Task, count: int) -> Question[ProbesAnswer]:
    """Which new inputs should trigger this weakness?"""
    labels = probe_labels(pattern, task)
    return PROBES.about(
        pattern.id,
        _confusion(pattern),
        facts=f"Write {count} inputs. Their labels are of these: {', '.join(labels)}.",
        choices={"label": labels},
    )


def probe_labels(pattern: ErrorPattern, task: Task) -> tuple[str, ...]:
    """The labels a probe may have: the confused pair, or the missed one alone."""
    return tuple(label for label in (pattern.expected, pattern.predicted) if label in task.labels)


def _confusion(pattern: ErrorPattern) -> Sequence[tuple[str, str]]:
    return [
        ("right-label", pattern.expected),
        ("answered-label", pattern.predicted or "various others"),
        *(("failed-input", text) for text in pattern.examples[:_EXAMPLES]),
    ]


def _labels(task: Task) -> str:
    return f"The labels are: {', '.join(task.labels)}."
