"""What may be learned from a judged trace: one verdict for each row (paper §2.6 step 2)."""

from dataclasses import dataclass
from enum import StrEnum


class TriageKind(StrEnum):
    """``fixable`` is trained on; ``poison`` and ``external`` never are."""

    FIXABLE = "fixable"
    POISON = "poison"
    EXTERNAL = "external"


class Family(StrEnum):
    """What is the matter with a row; ``kind_of`` gives the verdict."""

    # Fixable noise: intent and answer are still valid.
    MISSPELLING = "misspelling"
    GRAMMAR = "grammar"
    CASING = "casing"
    PUNCTUATION = "punctuation"
    SLANG = "slang"
    CODE_SWITCH = "code_switch"
    PREAMBLE = "preamble"
    FORMAT_REQUEST = "format_request"
    TRUNCATION = "truncation"
    MARKUP = "markup"
    REPETITION = "repetition"
    VERBOSE = "verbose"
    ENCODING = "encoding"
    METADATA = "metadata"
    # Poison: training on it teaches the wrong thing.
    EMPTY = "empty"
    GIBBERISH = "gibberish"
    LABEL_FLIP = "label_flip"
    NEGATION = "negation"
    FALSE_PREMISE = "false_premise"
    PROMPT_INJECTION = "prompt_injection"
    JAILBREAK = "jailbreak"
    OFF_DOMAIN = "off_domain"
    META_QUESTION = "meta_question"
    ASSUMED_CONTEXT = "assumed_context"
    VERBATIM_RECALL = "verbatim_recall"
    # External: the remedy lies outside the model.
    WRONG_REFERENCE = "wrong_reference"
    DISAGREEMENT = "disagreement"
    AMBIGUOUS = "ambiguous"
    SCHEMA_MISMATCH = "schema_mismatch"


FIXABLE_FAMILIES = frozenset(
    {
        Family.MISSPELLING,
        Family.GRAMMAR,
        Family.CASING,
        Family.PUNCTUATION,
        Family.SLANG,
        Family.CODE_SWITCH,
        Family.PREAMBLE,
        Family.FORMAT_REQUEST,
        Family.TRUNCATION,
        Family.MARKUP,
        Family.REPETITION,
        Family.VERBOSE,
        Family.ENCODING,
        Family.METADATA,
    }
)
EXTERNAL_FAMILIES = frozenset(
    {Family.WRONG_REFERENCE, Family.DISAGREEMENT, Family.AMBIGUOUS, Family.SCHEMA_MISMATCH}
)


def kind_of(family: Family) -> TriageKind:
    """The verdict that a family leads to."""
    if family in FIXABLE_FAMILIES:
        return TriageKind.FIXABLE
    return TriageKind.EXTERNAL if family in EXTERNAL_FAMILIES else TriageKind.POISON


@dataclass(frozen=True, slots=True)
class Evidence:
    """One signal that fired on one row.

    ``probability``: of the family being true of the row, as this signal alone would say, 0 to 1.
    ``detail`` tells a person what was seen, in a few plain words.
    """

    signal: str
    family: Family
    probability: float
    detail: str


@dataclass(frozen=True, slots=True)
class TriageVerdict:
    """The ensemble's verdict of a row. ``family`` is the strongest one; None when nothing fired.

    ``confidence`` is the probability of ``kind``: for harm above 0.42, else from 0.58.
    """

    kind: TriageKind
    confidence: float
    family: Family | None = None
    evidence: tuple[Evidence, ...] = ()
