"""Each root cause is told by its own signs, and by no others."""

import numpy as np
import numpy.typing as npt
import pytest

from services.diagnoser.domain.background import Background
from services.diagnoser.domain.taxonomy import find_patterns
from shared.domain.patterns import Character, Confusion, ErrorPattern, RootCause
from shared.domain.rows import Row
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from shared.domain.triage import Evidence, Family, TriageKind, TriageVerdict

Vectors = npt.NDArray[np.float32]
DIMENSIONS = 32


def trace(at: int, expected: str, predicted: str, text: str = "") -> JudgedTrace:
    verdict = Verdict.PASS if expected == predicted else Verdict.FAIL
    return JudgedTrace(
        f"{verdict}{at:03d}",
        text or f"words {at}",
        predicted,
        verdict,
        expected,
        VerdictSource.HUMAN,
    )


def near(direction: Vectors, count: int, *, spread: float = 0.05, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    found = direction + rng.normal(0, spread, (count, len(direction)))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def axis(*weights: float) -> Vectors:
    return np.array([*weights, *[0.0] * (DIMENSIONS - len(weights))], np.float32)


REFUND, STATUS = axis(1), axis(0, 1)


def taught(
    refund: str = "money {}", status: str = "parcel {}", *, spread: float = 0.05
) -> Background:
    """Thirty training rows for each of three labels, on three axes."""
    counts = {"refund": 30, "status": 30, "greeting": 30}
    said = {"refund": refund, "status": status, "greeting": "hello {}"}
    ways = {"refund": REFUND, "status": STATUS, "greeting": axis(0, 0, 1)}
    rows = [
        Row(f"{label}{at}", said[label].format(at), label)
        for label, count in counts.items()
        for at in range(count)
    ]
    vectors = np.concatenate(
        [
            near(ways[label], count, spread=spread, seed=at)
            for at, (label, count) in enumerate(counts.items())
        ]
    )
    return Background(training=rows, training_vectors=vectors)


def only(
    texts: list[str], vectors: Vectors, background: Background, predicted: str = "status"
) -> ErrorPattern:
    rows = [trace(at, "refund", predicted, text) for at, text in enumerate(texts)]
    [pattern] = find_patterns(rows, vectors, background)
    return pattern


def triaged(family: Family, count: int, kind: TriageKind) -> dict[str, TriageVerdict]:
    seen = Evidence("test", family, 0.9, "seen")
    return {f"fail{at:03d}": TriageVerdict(kind, 0.9, family, (seen,)) for at in range(count)}


def test_without_training_rows_the_cause_is_unclear() -> None:
    pattern = only(["a", "b", "c"], near(REFUND, 3), Background())
    assert pattern.cause is RootCause.UNCLEAR
    assert "not known" in pattern.evidence


def test_between_two_labels_the_meanings_overlap() -> None:
    background = taught(refund="thing {}", status="thing {}", spread=0.15)
    pattern = only(["the thing"] * 6, near(REFUND + STATUS, 6), background)
    assert pattern.cause is RootCause.SEMANTIC_OVERLAP


def test_the_words_of_one_label_with_the_meaning_of_another_overlap_on_the_surface() -> None:
    pattern = only(["where is my parcel"] * 6, near(REFUND, 6), taught())
    assert pattern.cause is RootCause.SURFACE_OVERLAP


@pytest.mark.parametrize("rows", [0, 2])
def test_a_label_hardly_trained_lacks_signal(rows: int) -> None:
    pattern = only(["money"] * 6, near(REFUND, 6), few(rows))
    assert pattern.cause is RootCause.MISSING_SIGNAL
    assert f"has {rows} rows of 'refund'" in pattern.evidence


def few(rows: int) -> Background:
    whole = taught()
    kept = [at for at, row in enumerate(whole.training) if row.target != "refund" or at < rows]
    return Background(
        training=[whole.training[at] for at in kept],
        training_vectors=whole.training_vectors[kept],
    )


def test_inputs_far_from_all_training_rows_lack_signal() -> None:
    pattern = only(["unheard of"] * 6, near(axis(0.4, 0, 0, 1), 6), taught())
    assert pattern.cause is RootCause.MISSING_SIGNAL
    assert "100% are farther" in pattern.evidence


def test_a_label_that_lies_where_another_is_taught_is_counter_intuitive() -> None:
    like_status = near(STATUS + 0.9 * REFUND, 6)
    pattern = only(["tell me the status of my money"] * 6, like_status, taught())
    assert pattern.cause is RootCause.COUNTER_INTUITIVE
    assert "100% say a word of its name" in pattern.evidence


def test_doubted_corrections_are_no_counter_intuitive_label() -> None:
    background = taught()
    doubted = Background(
        background.training,
        background.training_vectors,
        verdicts=triaged(Family.LABEL_FLIP, 6, TriageKind.POISON),
    )
    like_status = near(STATUS + 0.9 * REFUND, 6)
    pattern = only(["tell me the status of my money"] * 6, like_status, doubted)
    assert pattern.cause is not RootCause.COUNTER_INTUITIVE
    assert not pattern.fixable


def test_noise_explains_failures_only_where_passes_carry_less_of_it() -> None:
    passes = [trace(at, "refund", "refund") for at in range(10)]
    noisy = triaged(Family.MISSPELLING, 6, TriageKind.FIXABLE)
    clean = {row.id: TriageVerdict(TriageKind.FIXABLE, 0.9) for row in passes}
    seen = Evidence("test", Family.MISSPELLING, 0.9, "seen")
    as_noisy = {
        row.id: TriageVerdict(TriageKind.FIXABLE, 0.9, Family.MISSPELLING, (seen,))
        for row in passes
    }
    background = taught()
    for of_passes, cause in (
        (clean, RootCause.NOISE_FAMILY),
        (as_noisy, RootCause.SURFACE_OVERLAP),
    ):
        told = Background(
            background.training, background.training_vectors, passes, noisy | of_passes
        )
        pattern = only(["where is my parcel"] * 6, near(REFUND, 6), told)
        assert pattern.cause is cause
        assert pattern.shape.noisy == 1.0
        assert pattern.shape.noise == ((Family.MISSPELLING, 1.0),)
        assert pattern.fixable


def test_wrong_references_are_named_before_all_else_and_are_not_fixable() -> None:
    verdicts = triaged(Family.WRONG_REFERENCE, 4, TriageKind.EXTERNAL)
    background = taught()
    told = Background(background.training, background.training_vectors, verdicts=verdicts)
    pattern = only(["where is my parcel"] * 6, near(REFUND, 6), told)
    assert pattern.cause is RootCause.WRONG_REFERENCE
    assert "4 of 6" in pattern.evidence
    assert not pattern.fixable


def test_a_label_given_wrongly_more_often_than_the_right_one_is_missed_is_a_precision_failure() -> (
    None
):
    failures = [trace(at, f"label{at}", "greedy") for at in range(8)]
    passes = [trace(at * 10 + n, f"label{at}", f"label{at}") for at in range(8) for n in range(9)]
    passes += [trace(90, "greedy", "greedy")]
    background = Background(passes=passes)
    patterns = find_patterns(failures, near(REFUND, 8), background)
    assert {pattern.character for pattern in patterns} == {Character.PRECISION}


def test_a_label_that_goes_unseen_is_a_recall_failure() -> None:
    failures = [trace(at, "shy", f"label{at}") for at in range(8)]
    passes = [trace(at * 10 + n, f"label{at}", f"label{at}") for at in range(8) for n in range(9)]
    [pattern] = find_patterns(failures, near(REFUND, 8), Background(passes=passes))
    assert pattern.character is Character.RECALL
    assert pattern.predicted is None
    assert pattern.confusions == tuple(Confusion("shy", f"label{at}", 1) for at in range(8))


def test_the_shape_tells_lengths_and_questions() -> None:
    texts = ["what is it", "is it here now?", "give it back to me please sir", "nothing"]
    pattern = only(texts, near(REFUND, 4), Background())
    assert pattern.shape.word_quartiles == (2.5, 3.5, 4.75)
    assert pattern.shape.questions == 0.5


def test_examples_are_three_typical_and_distinct_texts() -> None:
    texts = ["Same!", "same", "same?", "other", "third", "fourth"]
    pattern = only(texts, near(REFUND, 6), Background())
    assert len(pattern.examples) == 3
    assert len({example.strip("!?").lower() for example in pattern.examples}) == 3


def test_training_vectors_must_fit() -> None:
    with pytest.raises(ValueError, match="1 training rows"):
        Background([Row("r", "text", "a")], np.zeros((2, 8), np.float32))
    rows = [trace(0, "a", "b")]
    with pytest.raises(ValueError, match="embed both with one encoder"):
        find_patterns(rows, np.ones((1, 4), np.float32), taught())
