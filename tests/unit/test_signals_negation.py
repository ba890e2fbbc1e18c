"""Negation: a label's request with a negator in front, and labels that negate by nature."""

import pytest

from services.diagnoser.domain.signals.negation import negation_evidence
from shared.domain.triage import Family
from tests.unit.ordinary_texts import ordinary_rows
from tests.unit.signal_corpus import SENTENCES

TRUSTED = {
    "balance": ("what is my balance", "tell me my balance", "balance of my account please"),
    "pin": ("reset my pin", "i want to change my pin", "i want to reset the pin of my card"),
    "alarm": ("set an alarm for six", "setting an alarm", "wake me, set the alarm"),
    "cancel": ("i do not want my reservation", "i no longer need the table", "cancel it"),
}
TEXTS = [text for texts in TRUSTED.values() for text in texts]
LABELS = [label for label, texts in TRUSTED.items() for _ in texts]


def negated(text: str, label: str) -> bool:
    found = negation_evidence([text], [label], TEXTS, LABELS)[0]
    assert {e.family for e in found} <= {Family.NEGATION}
    return bool(found)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("don't tell me my balance", "balance"),
        ("i do not want to reset my pin", "pin"),
        ("whatever you do, do not change my pin", "pin"),
        ("please never set an alarm for six", "alarm"),
        ("stop setting an alarm", "alarm"),
    ],
)
def test_a_request_turned_round_is_told(text: str, label: str) -> None:
    assert negated(text, label)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("tell me my balance", "balance"),
        ("i do not know my balance", "balance"),
        ("i don't see my balance", "balance"),
        ("i do not want my table", "cancel"),
        ("don't call me bob", "balance"),
        ("don't tell me my balance", "a label nobody trusts rows of"),
    ],
)
def test_statements_other_requests_and_labels_that_negate_are_left_alone(
    text: str, label: str
) -> None:
    assert not negated(text, label)


@pytest.mark.parametrize("name", ["clinc150", "banking77", "snips"])
def test_ordinary_rows_hardly_ever_negate_their_label(name: str) -> None:
    rows = ordinary_rows(name)
    trusted, asked = rows[::10], [row for at, row in enumerate(rows) if at % 10]
    found = negation_evidence(
        [text for text, _ in asked],
        [label for _, label in asked],
        [text for text, _ in trusted],
        [label for _, label in trusted],
    )
    assert sum(map(bool, found)) < 0.005 * len(asked)


def test_each_way_to_negate_is_known() -> None:
    texts = SENTENCES[Family.NEGATION]
    # Each against a trusted row that says the same without the negator's words.
    trusted = [word for text in texts for word in (text,) * 3]
    plain = [" ".join(text.split()[-3:]) for text in trusted]
    labels = [str(at) for at, _ in enumerate(texts)]
    of = [str(at // 3) for at, _ in enumerate(trusted)]
    found = negation_evidence(texts, labels, plain, of)
    assert sum(map(bool, found)) >= 0.85 * len(texts)


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="2 labels for 1 texts"):
        negation_evidence(["a"], ["x", "y"], [], [])
