"""Rows that say the opposite of their label: a request of that label, with a negator in front."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.diagnoser.domain.signals.common_words import COMMON
from services.diagnoser.domain.signals.reading import read
from shared.domain.triage import Evidence, Family

SIGNAL = "negation"

# Negated requests. Plain negative statements ("i do not see my refund") are how problems are told.
_NEGATORS = re.compile(
    r"(?<![^ ])(?:"
    r"(?<=[.,] )(?:please |kindly |just |you |so |and |but |ok |you should |you must "
    r"|you need to )*"
    r"(?:do not(?: you)?|never|must not|should not|not to) (?:ever |even |please )*"
    r"(?!know|understand|see|think|remember|recogni[sz]e|have|get|we|you|i)"
    r"|(?:whatever you do|under no circumstances|by no means|at no point|on no account)"
    r"(?: ,)?(?: should| must| do)?(?: you)?(?: do not)?"
    r"|i (?:do not|no longer|never|would not|will not|did not|really do not) (?:\w+ )?"
    r"(?:want|wanted|need|wish|ask|asked|intend|plan|care|require) (?:you )?(?:to )?"
    r"|i (?:am|was) not (?:\w+ )?(?:asking|trying|looking|going|interested in|planning)"
    r"(?: you)?(?: to| for)?"
    r"|i (?:would|had) rather (?:you )?(?:not|did not)|i (?:refuse|decline) to"
    r"|(?<=[.,] )(?:please )?(?:stop|quit|avoid|refrain from|cease) (?=\w+ing)"
    r"|(?:anything|everything|anywhere|all) (?:but|except)(?: for)?"
    r"|(?:there is )?no need (?:for you )?to|(?:you|i) (?:do not|no longer) (?:need|have) to"
    r"|you (?:should not|must not|may not|shall not|are not to)"
    r")(?:(?<= )|(?![^ ]))"
)
_FEWEST = 3
_USUAL_FROM = 0.08
# Of the request's own words, the share that one trusted row of the label must say too.
_NEAR = 0.5


def negation_evidence(
    texts: Sequence[str],
    labels: Sequence[str],
    trusted: Sequence[str],
    trusted_labels: Sequence[str],
) -> list[tuple[Evidence, ...]]:
    """For each text, whether it asks for its label's request not to be done.

    ``labels`` are what the rows would be trained on. A label needs three trusted rows; one whose
    trusted rows often negate (a complaint, a cancellation) is left alone. Raises ValueError when
    texts and labels differ in length.
    """
    if len(texts) != len(labels) or len(trusted) != len(trusted_labels):
        raise ValueError(
            f"{len(labels)} labels for {len(texts)} texts, {len(trusted_labels)} for "
            f"{len(trusted)} trusted: one for each"
        )
    of_label: dict[str, list[str]] = defaultdict(list)
    for text, label in zip(trusted, trusted_labels, strict=True):
        of_label[label].append(text)
    requests = {label: _Request.of(rows) for label, rows in of_label.items()}
    return [
        _of(text, requests[label]) if label in requests else ()
        for text, label in zip(texts, labels, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Request:
    """What a label's trusted rows say."""

    rows: tuple[frozenset[str], ...]
    negates: bool

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Request":
        readings = [read(text) for text in texts]
        negated = sum(_NEGATORS.search(reading) is not None for reading in readings)
        few = len(texts) < _FEWEST
        return cls(
            tuple(frozenset(_content(reading)) for reading in readings),
            few or negated >= max(1, _USUAL_FROM * len(texts)),
        )


def _of(text: str, request: _Request) -> tuple[Evidence, ...]:
    if request.negates:
        return ()
    reading = read(text)
    found = _NEGATORS.search(reading)
    if not found:
        return ()
    said = frozenset(_content(_NEGATORS.sub(" ", reading)))
    near = max((len(said & row) / len(said) for row in request.rows), default=0.0) if said else 0.0
    if near < _NEAR:
        return ()
    probability = min(0.9, 0.5 + 0.4 * near)
    detail = f"negates its label's request: “{found.group().strip(' .,')}”"
    return (Evidence(SIGNAL, Family.NEGATION, probability, detail),)


def _content(reading: str) -> Iterable[str]:
    return (
        word.removesuffix("s").removesuffix("ing")
        for word in reading.split()
        if len(word) > 2 and word not in _SMALL
    )


_WORDS = """
    the and for you your are what how can could would please tell want need not with that this from
    have has will does did was were his her its our out about should which who why when where there
    any all some just get let like know make give much many
    """
_SMALL = COMMON & frozenset(_WORDS.split())
