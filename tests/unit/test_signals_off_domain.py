"""Off-domain: far from the in-domain rows, calibrated by these rows themselves."""

import numpy as np
import numpy.typing as npt
import pytest

from services.diagnoser.domain.signals.off_domain import (
    off_domain_evidence,
    off_domain_probabilities,
)
from shared.domain.triage import Family

Vectors = npt.NDArray[np.float32]


def around(rng: np.random.Generator, centres: Vectors, rows: int, spread: float) -> Vectors:
    """``rows`` unit vectors, each near one of the centres."""
    chosen = centres[rng.integers(len(centres), size=rows)]
    return unit(chosen + rng.normal(0, spread / np.sqrt(centres.shape[1]), chosen.shape))


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(name="domain")
def domain_fixture() -> tuple[np.random.Generator, Vectors, Vectors, Vectors]:
    """A generator, 400 in-domain rows, 300 more of the same kind, 40 of another subject."""
    rng = np.random.default_rng(5)
    centres = unit(rng.normal(size=(12, 48)))
    others = unit(rng.normal(size=(5, 48)))
    return (
        rng,
        around(rng, centres, 400, 0.8),
        around(rng, centres, 300, 0.8),
        around(rng, others, 40, 0.8),
    )


def test_rows_of_another_subject_are_told_from_those_of_the_domain(
    domain: tuple[np.random.Generator, Vectors, Vectors, Vectors],
) -> None:
    _, reference, inside, outside = domain
    probabilities = off_domain_probabilities(np.vstack([inside, outside]), reference)
    assert (probabilities[:300] > 0.5).mean() < 0.02
    assert (probabilities[300:] > 0.5).mean() > 0.9


def test_without_other_subjects_hardly_a_row_is_suspected(
    domain: tuple[np.random.Generator, Vectors, Vectors, Vectors],
) -> None:
    _, reference, inside, _ = domain
    assert (off_domain_probabilities(inside, reference) > 0.5).mean() < 0.02


def test_farther_is_never_less_probable(
    domain: tuple[np.random.Generator, Vectors, Vectors, Vectors],
) -> None:
    rng, reference, inside, outside = domain
    steps = np.linspace(0, 1, 30)[:, None]
    path = unit(inside[:1] * (1 - steps) + outside[:1] * steps)
    rows = np.vstack([path, inside, outside])
    near = np.sort(rows @ reference.T, axis=1)[:, -3:].mean(axis=1)
    probabilities = off_domain_probabilities(rows, reference, seed=int(rng.integers(9)))
    assert (np.diff(probabilities[np.argsort(-near)]) >= -1e-9).all()


def test_the_answer_does_not_depend_on_the_order(
    domain: tuple[np.random.Generator, Vectors, Vectors, Vectors],
) -> None:
    rng, reference, inside, outside = domain
    rows = np.vstack([inside, outside])
    order = rng.permutation(len(rows))
    straight = off_domain_probabilities(rows, reference)
    np.testing.assert_allclose(
        off_domain_probabilities(rows[order], reference), straight[order], atol=1e-6
    )


def test_a_large_reference_is_sampled_and_says_the_same(
    domain: tuple[np.random.Generator, Vectors, Vectors, Vectors],
) -> None:
    rng, reference, inside, outside = domain
    many = unit(np.repeat(reference, 20, axis=0) + rng.normal(0, 0.1, (8000, 48)))
    found = off_domain_evidence(np.vstack([inside, outside]), many)
    assert sum(map(bool, found[300:])) > 0.9 * 40
    assert {e.family for one in found for e in one} == {Family.OFF_DOMAIN}
    assert all(e.probability >= 0.3 for one in found for e in one)


def test_few_references_or_no_rows_tell_nothing() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(30, 4)))
    assert off_domain_probabilities(rows, rows[:5]).tolist() == [0.0] * 30
    assert off_domain_evidence(rows[:0], rows) == []


def test_equal_rows_are_of_the_domain() -> None:
    rows = np.tile(unit(np.ones((1, 4))), (50, 1))
    assert (off_domain_probabilities(rows, rows) < 0.5).all()


def test_passes_are_in_question_too_and_do_not_vouch_for_themselves(
    domain: tuple[np.random.Generator, Vectors, Vectors, Vectors],
) -> None:
    _, reference, inside, outside = domain
    few = outside[:8]
    in_domain = np.vstack([reference[:200], few, reference[200:]])
    probabilities = off_domain_probabilities(inside, in_domain, passes=208)
    assert probabilities.shape == (508,)
    assert (probabilities[:500] > 0.5).mean() < 0.02
    assert (probabilities[500:] > 0.5).mean() >= 0.5


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(9, 5\)"):
        off_domain_probabilities(np.zeros((3, 4), np.float32), np.zeros((9, 5), np.float32))
    with pytest.raises(ValueError, match="passes=10 of 9"):
        off_domain_probabilities(
            np.zeros((3, 5), np.float32), np.zeros((9, 5), np.float32), passes=10
        )
