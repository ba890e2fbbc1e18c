"""Wrong labels: found where they are, few alarms where there are none, whatever is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.adaptft.label_noise import (
    LabelledTexts,
    flip_intents,
    measure_label_noise,
    take_questions,
)
from services.diagnoser.domain import label_noise
from services.diagnoser.domain.label_noise import WrongLabels, find_wrong_labels
from services.diagnoser.domain.label_transition import estimate_transition, posterior
from shared.errors import BadInput

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    right: Ints
    given: Ints
    vectors: Floats
    trusted: Ints
    trusted_vectors: Floats
    labels: int
    texts: Sequence[str] | None = None
    trusted_texts: Sequence[str] | None = None

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        return self.given != self.right

    def judged(self, **more: object) -> WrongLabels:
        return find_wrong_labels(
            self.given,
            self.vectors,
            self.trusted_vectors,
            self.trusted,
            labels=self.labels,
            texts=self.texts,
            trusted_texts=self.trusted_texts,
            **({"seed": 0} | more),  # pyright: ignore[reportArgumentType]
        )

    def f1(self, found: WrongLabels) -> float:
        flagged = found.probability_wrong > 0.5
        hits = int((flagged & self.wrong).sum())
        return 2 * hits / max(int(flagged.sum()) + int(self.wrong.sum()), 1)


def blobs(
    *, labels: int = 6, rows: int = 300, trusted: int = 5, flipped: float, noise: float = 0.5
) -> Rows:
    """Labels as directions in 16 dimensions; ``flipped`` of the labels drawn anew, all wrong."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(labels, 16))

    def near(codes: Ints) -> Floats:
        points = centres[codes] + noise * rng.normal(size=(len(codes), 16))
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)

    right = rng.integers(labels, size=rows)
    given = right.copy()
    some = rng.permutation(rows)[: round(flipped * rows)]
    given[some] = (given[some] + rng.integers(1, labels, size=len(some))) % labels
    known = np.repeat(np.arange(labels), trusted)
    return Rows(right, given, near(right), known, near(known), labels)


@pytest.mark.parametrize(("labels", "trusted"), [(2, 5), (6, 5), (6, 0)])
def test_flipped_labels_are_found_and_mended(labels: int, trusted: int) -> None:
    rows = blobs(labels=labels, trusted=trusted, flipped=0.3)
    found = rows.judged()
    assert rows.f1(found) > 0.9
    assert (found.best == rows.right).mean() > 0.9


@pytest.mark.parametrize("labels", [2, 6, 30])
def test_right_labels_raise_few_alarms(labels: int) -> None:
    rows = blobs(labels=labels, flipped=0.0)
    assert (rows.judged().probability_wrong > 0.5).mean() <= 0.01


def test_probabilities_are_as_often_right_as_they_say() -> None:
    rows = blobs(flipped=0.3, rows=800, noise=1.1)
    found = rows.judged()
    assert ((found.probability_wrong > 0.5) != rows.wrong).mean() > 0.03
    assert abs(float(found.probability_wrong.mean()) - 0.3) < 0.05
    for least, most in ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.0)):
        those = (found.probability_wrong >= least) & (found.probability_wrong <= most)
        said, so = found.probability_wrong[those].mean(), rows.wrong[those].mean()
        assert abs(float(said) - so) < 0.15


def test_trusted_rows_overrule_given_labels_that_err_by_rule() -> None:
    rows = blobs(flipped=0.0, trusted=20)
    by_rule = replace(rows, given=np.where(rows.right == 0, 1, rows.right))
    untrusting = replace(by_rule, trusted=rows.trusted[:0], trusted_vectors=rows.vectors[:0])
    assert by_rule.f1(by_rule.judged()) > 0.95
    assert by_rule.f1(untrusting.judged()) < 0.05


def test_a_label_without_trusted_rows_is_not_condemned() -> None:
    rows = blobs(flipped=0.2, trusted=20)
    known = rows.trusted != 2
    rows = replace(rows, trusted=rows.trusted[known], trusted_vectors=rows.trusted_vectors[known])
    found = rows.judged()
    new = (rows.right == 2) & ~rows.wrong
    assert (found.probability_wrong[new] > 0.5).mean() < 0.05
    assert rows.f1(found) > 0.95


def test_words_decide_where_meaning_does_not() -> None:
    rows = blobs(flipped=0.3, noise=50.0)
    filler = ["please", "my", "the", "now"]

    def texts(codes: Ints) -> list[str]:
        return [f"topic{code} {filler[at % 4]} {filler[at % 3]}" for at, code in enumerate(codes)]

    worded = replace(rows, texts=texts(rows.right), trusted_texts=texts(rows.trusted))
    assert rows.f1(rows.judged()) < 0.7
    assert worded.f1(worded.judged()) > 0.95


def test_the_parent_is_heeded_when_it_knows_more_and_not_when_it_guesses() -> None:
    vague, clear = blobs(flipped=0.3, noise=2.0), blobs(flipped=0.3)
    knows = (0.9 * np.eye(6)[vague.right] + 0.1 / 6).astype(np.float32)
    guesses = np.random.default_rng(1).dirichlet(np.full(6, 0.1), 300).astype(np.float32)
    assert vague.f1(vague.judged()) < 0.9
    assert vague.f1(vague.judged(parent_probabilities=knows)) > 0.95
    assert clear.f1(clear.judged(parent_probabilities=guesses)) > 0.95


def test_beyond_the_sample_rows_are_judged_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_noise, "_SAMPLE", 120)
    monkeypatch.setattr(label_noise, "_AT_ONCE", 50)
    rows = blobs(flipped=0.3)
    assert rows.f1(rows.judged()) > 0.95


def test_a_row_without_a_label_is_never_wrong_but_told_its_best() -> None:
    rows = blobs(flipped=0.2)
    nameless = np.arange(len(rows.right)) % 5 == 0
    found = replace(rows, given=np.where(nameless, -1, rows.given)).judged()
    assert not found.probability_wrong[nameless].any()
    assert (found.best[nameless] == rows.right[nameless]).mean() > 0.9
    nothing = replace(rows, given=np.full_like(rows.given, -1)).judged()
    assert not nothing.probability_wrong.any()


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(0, 30),
    trusted=st.integers(0, 6),
    labels=st.integers(2, 5),
    seed=st.integers(0, 2**16),
    worded=st.booleans(),
)
def test_any_rows_get_probabilities_and_the_same_again(
    rows: int, trusted: int, labels: int, seed: int, *, worded: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows + trusted, 4)).astype(np.float32)
    words = ["a", "a b", "", "!", "b b c"]
    texts = [words[at] for at in rng.integers(5, size=rows + trusted)]
    case = Rows(
        right=np.zeros(rows, np.int64),
        given=rng.integers(-1, labels, size=rows),
        vectors=vectors[:rows],
        trusted=rng.integers(labels, size=trusted),
        trusted_vectors=vectors[rows:],
        labels=labels,
        texts=texts[:rows] if worded else None,
        trusted_texts=texts[rows:] if worded else None,
    )
    found, again = case.judged(seed=seed), case.judged(seed=seed)
    for values in (found.probability_wrong, found.best_probability):
        assert values.shape == (rows,)
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1.001)).all()
    assert ((found.best >= 0) & (found.best < labels)).all()
    assert np.array_equal(found.probability_wrong, again.probability_wrong)
    assert np.array_equal(found.best, again.best)


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(6)))
def test_the_names_of_labels_do_not_matter(order: list[int]) -> None:
    rows, names = blobs(flipped=0.3, rows=120), np.array(order)
    named = replace(rows, given=names[rows.given], trusted=names[rows.trusted])
    found, other = rows.judged(), named.judged()
    np.testing.assert_allclose(found.probability_wrong, other.probability_wrong, atol=1e-3)
    assert np.array_equal(names[found.best], other.best)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"labels": 1}, "labels=1"),
        ({"given": np.full(300, 6)}, "given"),
        ({"given": np.full(299, 0)}, "given"),
        ({"trusted": np.full(30, -1)}, "trusted_labels"),
        ({"texts": ["one"]}, "texts"),
    ],
)
def test_what_does_not_fit_is_named(broken: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replace(blobs(flipped=0.0), **broken).judged()  # pyright: ignore[reportArgumentType]


def test_a_parent_of_other_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="parent_probabilities"):
        blobs(flipped=0.0).judged(parent_probabilities=np.ones((300, 5), np.float32))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 60), st.integers(0, 2**16))
def test_transitions_and_posteriors_are_distributions(k: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=rows)
    transition = estimate_transition(rng.dirichlet(np.ones(k), rows), codes, None)
    assert (transition > 0).all()
    np.testing.assert_allclose(transition.sum(axis=1), 1)
    right = posterior(np.log(rng.dirichlet(np.ones(k), rows)), transition, codes)
    np.testing.assert_allclose(right.sum(axis=1), 1)


def test_errors_among_neighbours_are_learned_and_even_ones_stay_even() -> None:
    rng = np.random.default_rng(3)
    right = np.repeat(np.arange(10), 60)
    flipped = rng.random(600) < 0.4
    near = estimate_transition(np.eye(10)[right], np.where(flipped, (right + 1) % 10, right), None)
    anyone = (right + rng.integers(1, 10, size=600)) % 10
    even = estimate_transition(np.eye(10)[right], np.where(flipped, anyone, right), None)
    off = ~np.eye(10, dtype=bool)
    assert near[0, 1] > 0.3
    assert even[off].max() < 2 * even[off].mean()


def synthetic(rows: int = 60, labels: int = 4) -> LabelledTexts:
    rng = np.random.default_rng(5)
    right = np.repeat(np.arange(labels), rows)
    vectors = (np.eye(8)[right] + 0.1 * rng.normal(size=(len(right), 8))).astype(np.float32)
    texts = tuple(f"text {at}" for at in range(len(right)))
    return LabelledTexts(texts, vectors, right, (right + 1) % labels, labels)


@pytest.mark.parametrize("nearest", [False, True])
def test_the_benchmark_flips_what_it_says(nearest: bool) -> None:
    made = flip_intents(synthetic(), seed=1, nearest=nearest)
    assert np.bincount(made.right).tolist() == [45] * 4
    assert np.bincount(made.trusted_labels).tolist() == [10] * 4
    assert (made.given != made.right).mean() == pytest.approx(0.4)
    assert not set(made.texts) & set(made.trusted_texts)
    places = [int(text.split()[1]) for text in made.texts]
    assert np.array_equal(synthetic().right[places], made.right)


def test_the_benchmark_takes_questions_with_weak_labels() -> None:
    made = take_questions(synthetic(), seed=1)
    assert len(made.trusted_labels) == 200
    assert np.array_equal(made.given, (made.right + 1) % 4)


def test_the_benchmark_names_missing_data(tmp_path: object) -> None:
    from pathlib import Path

    with pytest.raises(BadInput, match="--data"):
        measure_label_noise(Path(str(tmp_path)), [1])
