"""Training is left out where it is not the remedy, and the reason says what is."""

import pytest

from services.controller.domain.remedy import why_not_train
from shared.domain.patterns import Remedy, RemedyKind
from shared.events import FailuresDiagnosed
from tests.unit.run_builders import a_diagnosis


def diagnosed(*remedies: tuple[RemedyKind, int], **fields: int) -> FailuresDiagnosed:
    """Of 150 failures, with so many for each remedy."""
    found = tuple(Remedy(kind, count, f"why {kind.value}") for kind, count in remedies)
    event = a_diagnosis().model_dump() | {"remedies": found} | fields
    return FailuresDiagnosed.model_validate(event)


def test_failures_to_learn_from_are_worth_a_run() -> None:
    assert why_not_train(diagnosed()) is None
    assert why_not_train(diagnosed((RemedyKind.MORE_DATA, 150))) is None
    assert why_not_train(diagnosed((RemedyKind.MORE_CAPACITY, 150))) is None


@pytest.mark.parametrize(("labels", "schema", "trains"), [(70, 75, True), (70, 76, False)])
def test_what_people_must_mend_must_be_nearly_all(labels: int, schema: int, trains: bool) -> None:
    event = diagnosed(
        (RemedyKind.REFERENCE_LABELS, labels),
        (RemedyKind.PROMPT_OR_SCHEMA, schema),
        (RemedyKind.MORE_DATA, 150 - labels - schema),
    )
    why = why_not_train(event, worth=5)
    assert (why is None) is trains
    if why:
        assert "cover 146 of 150" in why
        assert "reference labels (70): why reference_labels" in why
        assert "prompt or schema (76): why prompt_or_schema" in why
        assert "more data" not in why


def test_a_calibration_is_told_and_closes_no_run() -> None:
    assert why_not_train(diagnosed((RemedyKind.CALIBRATION, 150))) is None
    both = diagnosed((RemedyKind.REFERENCE_LABELS, 148), (RemedyKind.CALIBRATION, 2))
    why = why_not_train(both)
    assert why is not None
    assert "cover 148 of 150" in why
    assert "calibration (2): why calibration" in why


def test_poison_counts_for_no_side() -> None:
    event = diagnosed((RemedyKind.REFERENCE_LABELS, 48), quarantined=100)
    why = why_not_train(event)
    assert why is not None
    assert "cover 48 of 50" in why
    assert "100 quarantined as poison" in why


def test_nothing_to_learn_is_said_with_what_was_found() -> None:
    why = why_not_train(diagnosed(repair=0, heldout=0, quarantined=150))
    assert why is not None
    assert "none of 150 failures may be learned from" in why
    assert "150 quarantined" in why
    why = why_not_train(diagnosed(repair=0, heldout=0))
    assert why is not None
    assert "collect more failures" in why


def test_an_improvement_that_cannot_be_measured_is_not_tried() -> None:
    why = why_not_train(diagnosed(heldout=0))
    assert why is not None
    assert "can be held out" in why
