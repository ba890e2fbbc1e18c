"""Every failure gets its cheapest remedy; a calibration counts only where it was checked."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.background import Background
from services.diagnoser.domain.label_bias import check_bias
from services.diagnoser.domain.remedies import Scores, find_remedies
from services.diagnoser.domain.taxonomy import find_patterns
from shared.domain.patterns import Remedy, RemedyKind, left_to_people
from shared.domain.rows import Row
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from shared.domain.triage import Family, TriageKind, TriageVerdict, kind_of

LABELS = ("a", "b", "c")
Matrix = npt.NDArray[np.float64]


def trace(
    at: int, expected: str, output: str, *, sure: float | None = None, text: str = ""
) -> JudgedTrace:
    verdict = Verdict.PASS if expected == output else Verdict.FAIL
    name = f"{verdict}{at:03d}"
    return JudgedTrace(
        name, text or f"text {at}", output, verdict, expected, VerdictSource.HUMAN, sure
    )


def told(family: Family) -> TriageVerdict:
    return TriageVerdict(kind_of(family), 0.9, family)


def remedies(
    failures: list[JudgedTrace], background: Background | None = None, **more: object
) -> dict[RemedyKind, Remedy]:
    background = background or Background()
    patterns = find_patterns(failures, np.eye(len(failures), dtype=np.float32), background)
    found = find_remedies(patterns, failures, background, labels=LABELS, **more)  # type: ignore[arg-type]
    kinds = [remedy.kind for remedy in found]
    assert kinds == [kind for kind in RemedyKind if kind in kinds], "not cheapest first"
    return dict(zip(kinds, found, strict=True))


def test_plain_failures_want_more_data() -> None:
    found = remedies([trace(at, "a", "b") for at in range(6)])
    assert list(found) == [RemedyKind.MORE_DATA]
    assert found[RemedyKind.MORE_DATA].failures == 6
    assert "a (6)" in found[RemedyKind.MORE_DATA].reason
    assert left_to_people([*found.values()]) == 0


def test_wrong_references_are_to_be_corrected_and_poison_has_no_remedy() -> None:
    failures = [trace(at, "a", "b") for at in range(6)]
    verdicts = {
        "fail000": told(Family.WRONG_REFERENCE),
        "fail001": told(Family.DISAGREEMENT),
        "fail002": told(Family.LABEL_FLIP),
        "fail003": told(Family.MISSPELLING),
    }
    found = remedies(failures, Background(verdicts=verdicts))
    assert found[RemedyKind.REFERENCE_LABELS].failures == 2
    assert "1 disagreement, 1 wrong reference" in found[RemedyKind.REFERENCE_LABELS].reason
    assert found[RemedyKind.MORE_DATA].failures == 3
    assert left_to_people([*found.values()]) == 2


def test_answers_outside_the_labels_want_another_schema() -> None:
    failures = [trace(0, "a", "A."), trace(1, "a", "I think it is a"), trace(2, "a", "b")]
    found = remedies(failures)
    schema = found[RemedyKind.PROMPT_OR_SCHEMA]
    assert schema.failures == 2
    assert "2 answers are outside the 3 labels; 1 of them" in schema.reason
    assert found[RemedyKind.MORE_DATA].failures == 1


def test_a_well_taught_label_that_surely_fails_wants_capacity() -> None:
    rng = np.random.default_rng(0)
    centre = np.eye(8, dtype=np.float32)
    rows = [Row(f"{label}{at}", f"{label} {at}", label) for label in "ab" for at in range(20)]
    vectors = np.repeat(centre[:2], 20, axis=0) + rng.normal(0, 0.05, (40, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    background = Background(rows, vectors)
    failures = [trace(at, "a", "b", sure=0.97) for at in range(4)]
    unsure = [trace(at, "a", "b", sure=0.5) for at in range(4)]
    for rows_, kind in ((failures, RemedyKind.MORE_CAPACITY), (unsure, RemedyKind.MORE_DATA)):
        patterns = find_patterns(rows_, np.repeat(centre[:1], 4, axis=0), background)
        [remedy] = find_remedies(patterns, rows_, background, labels=LABELS)
        assert (remedy.kind, remedy.failures) == (kind, 4)
        assert remedy.patterns == (patterns[0].id,)


def test_spurious_patterns_ask_for_nothing() -> None:
    failures = [trace(at, "a", "b") for at in range(3)] + [trace(3, "b", "c")]
    patterns = find_patterns(failures, np.eye(4, dtype=np.float32))
    largest = patterns[0].id
    [remedy] = find_remedies(patterns, failures, Background(), labels=LABELS, spurious=[largest])
    assert (remedy.failures, remedy.patterns) == (1, (patterns[1].id,))


families = st.sampled_from([None, *Family])
outputs = st.sampled_from(["b", "c", "B!", "none of them"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(families, outputs), max_size=20))
def test_every_honest_failure_counts_once(drawn: list[tuple[Family | None, str]]) -> None:
    failures = [trace(at, "a", output) for at, (_, output) in enumerate(drawn)]
    verdicts = {
        row.id: told(family) for row, (family, _) in zip(failures, drawn, strict=True) if family
    }
    poison = sum(verdict.kind is TriageKind.POISON for verdict in verdicts.values())
    found = remedies(failures, Background(verdicts=verdicts))
    assert sum(remedy.failures for remedy in found.values()) == len(failures) - poison
    assert all(remedy.failures and remedy.reason for remedy in found.values())


def leaning(count: int, lean: float, seed: int) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Probabilities of a good model that leans to its last label, and the right answers."""
    rng = np.random.default_rng(seed)
    right = rng.integers(0, 3, count)
    scores = rng.normal(0, 0.9, (count, 3))
    scores[np.arange(count), right] += 2.5
    scores[:, 2] += lean
    odds = np.exp(scores)
    return odds / odds.sum(axis=1, keepdims=True), right


def judged(lean: float, seed: int = 0) -> tuple[list[JudgedTrace], list[JudgedTrace], Scores]:
    odds, right = leaning(1_500, lean, seed)
    rows = [
        trace(at, LABELS[right[at]], LABELS[odds[at].argmax()], sure=float(odds[at].max()))
        for at in range(len(right))
    ]
    failed = np.array([row.verdict is Verdict.FAIL for row in rows])
    failures = [row for row in rows if row.verdict is Verdict.FAIL]
    passes = [row for row in rows if row.verdict is Verdict.PASS]
    half = odds.astype(np.float16)
    return failures, passes, Scores(LABELS, half[failed], half[~failed])


def test_a_model_that_leans_to_a_label_needs_no_training() -> None:
    failures, passes, scores = judged(lean=3.0)
    found = remedies(failures, Background(passes=passes), scores=scores, breakable=0.02)
    calibration = found[RemedyKind.CALIBRATION]
    assert calibration.failures > 0.7 * len(failures)
    biases = dict(calibration.biases)
    assert biases["c"] == pytest.approx(-2.0, abs=0.8)
    assert sum(biases.values()) == pytest.approx(0, abs=1e-3)
    assert "strongest: c -" in calibration.reason
    # The figures are those of applying it, not of fitting it.
    bias = np.array([biases[label] for label in LABELS])
    moved = (np.log(np.maximum(scores.failing.astype(float), 1e-7)) + bias).argmax(axis=1)
    fixed = sum(LABELS[m] == f.corrected for m, f in zip(moved, failures, strict=True))
    assert fixed == pytest.approx(calibration.failures, rel=0.1)


def test_a_model_that_leans_nowhere_is_not_calibrated() -> None:
    failures, passes, scores = judged(lean=0.0)
    found = remedies(failures, Background(passes=passes), scores=scores, breakable=0.02)
    assert list(found) == [RemedyKind.MORE_DATA]


def test_a_calibration_that_breaks_passes_is_none() -> None:
    failures, passes, scores = judged(lean=1.0)
    for breakable, calibrated in ((0.0, False), (0.05, True)):
        found = remedies(failures, Background(passes=passes), scores=scores, breakable=breakable)
        assert (RemedyKind.CALIBRATION in found) is calibrated


def test_probabilities_of_another_model_calibrate_nothing() -> None:
    failures, passes, scores = judged(lean=3.0)
    other = Scores(LABELS, scores.failing[:, ::-1], scores.passing)
    found = remedies(failures, Background(passes=passes), scores=other, breakable=0.02)
    assert RemedyKind.CALIBRATION not in found


def test_scores_must_fit_the_rows() -> None:
    failures, passes, scores = judged(lean=3.0)
    with pytest.raises(ValueError, match="failing scores"):
        remedies(failures[1:], Background(passes=passes), scores=scores)
    with pytest.raises(ValueError, match="for 2 answers"):
        check_bias(np.ones((3, 2)), [0, 1], np.ones((1, 2)), [0], breakable=0, seed=0)


def test_what_a_bias_does_is_told_of_rows_it_was_not_fitted_on() -> None:
    """Right answers drawn at random: whatever is fitted to them must not seem to help."""
    rng = np.random.default_rng(3)
    odds = rng.dirichlet(np.ones(40), 80)
    random = rng.integers(0, 40, 80)
    right = np.where(random == odds.argmax(axis=1), (random + 1) % 40, random)
    passing = rng.dirichlet(np.ones(40), 200)
    check = check_bias(odds, right, passing, passing.argmax(axis=1), breakable=1.0, seed=0)
    assert check.repaired.mean() < 0.15
