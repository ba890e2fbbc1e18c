"""The benchmark's logs: split before perturbed, the same for a seed, poisoned as said."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.adaptft import phrases as noise_phrases
from bench.adaptft import poison_phrases
from bench.adaptft.logs import LogRow, Part, Roll, ScenarioData, build, judged
from bench.adaptft.noise import FIXABLE
from bench.adaptft.perturbations import REPETITION, near_duplicate
from bench.adaptft.phrases import Phrases, Templates, filled
from bench.adaptft.poison import POISON, KeyWords, boundary_probe, poison_rates
from bench.adaptft.scenarios import SCENARIOS, Scenario, Sizes, load_rows, quick
from bench.adaptft.traffic import START
from examples.demo.workload import Example
from shared.domain.near_duplicates import NearDuplicateIndex
from shared.domain.traces import Verdict
from shared.errors import BadInput
from tests.unit.floats import floats

DESK = SCENARIOS["support_desk"]
NOWHERE = Path("no-such-folder")
ROWS = load_rows(DESK, NOWHERE)
SMALL = Sizes(clean_per_label=10, first_test=60, stage_rows=400)
POOLS = {
    f"{module.__name__}.{name}": pool
    for module in (noise_phrases, poison_phrases)
    for name, pool in vars(module).items()
    if isinstance(pool, Phrases)
}


def made(
    seed: int = 101, sizes: Sizes = SMALL, templates: Templates = Templates.DEVELOPMENT
) -> ScenarioData:
    return build("support_desk", ROWS, sizes, seed=seed, templates=templates)


@pytest.fixture(scope="module")
def data() -> ScenarioData:
    return made()


def rows_of(data: ScenarioData) -> list[LogRow]:
    """Of all poisoned stages."""
    return [row for stage in data.stages[1:] for row in (*stage.train, *stage.test)]


@pytest.fixture(scope="module")
def many() -> list[LogRow]:
    """Rows of eight seeds, for rates."""
    return [row for seed in range(8) for row in rows_of(made(seed))]


def sources(rows: list[LogRow]) -> list[LogRow]:
    """Without the copies that repetition adds."""
    return [row for row in rows if not set(row.flags) & set(REPETITION)]


def test_a_seed_gives_the_same_bytes_twice_and_another_seed_others(data: ScenarioData) -> None:
    assert made().dump() == data.dump()
    assert made(102).dump() != data.dump()
    assert made(templates=Templates.EVALUATION).dump() != data.dump()


def test_both_halves_of_the_templates_perturb_the_same_rows(data: ScenarioData) -> None:
    other = made(templates=Templates.EVALUATION)
    assert [row.original for row in rows_of(data)] == [row.original for row in rows_of(other)]
    assert other.clean == data.clean


def test_no_text_of_one_part_is_near_one_of_another_before_it_is_perturbed(
    data: ScenarioData,
) -> None:
    parts = [{row.text for row in data.clean}]
    parts += [{row.original for row in stage.train} for stage in data.stages]
    parts += [{row.original for row in stage.test} for stage in data.stages]
    for at, part in enumerate(parts):
        others = [text for other in parts[:at] + parts[at + 1 :] for text in other]
        assert not any(NearDuplicateIndex(others).match_each(sorted(part)))


def test_each_stage_is_split_before_anything_is_added(data: ScenarioData) -> None:
    first, *stages = data.stages
    assert len(first.test) == 60 and not first.train
    assert not any(row.flags for row in first.test)
    for stage in stages:
        assert len({row.original for row in stage.train}) == 280
        assert len({row.original for row in stage.test}) == 120
        assert {row.part for row in stage.train} == {Part.TRAIN}
        assert all("retry_storm" not in row.flags for row in stage.test)
    ids = [row.id for stage in data.stages for row in (*stage.train, *stage.test)]
    assert len(set(ids)) == len(ids)


def test_the_clean_pool_has_as_many_rows_of_each_label(data: ScenarioData) -> None:
    assert set(Counter(row.target for row in data.clean).values()) == {10}


@given(floats(0.01, 0.8))
def test_rates_of_poison_reach_the_share_together(share: float) -> None:
    rates = poison_rates(share)
    clean = 1.0
    for rate in rates.values():
        clean *= 1 - rate
    assert 1 - clean == pytest.approx(share)
    factor = rates["label_flip"] / POISON["label_flip"]
    assert all(rates[name] == pytest.approx(factor * rate) for name, rate in POISON.items())


def test_each_stage_holds_its_share_of_poison(many: list[LogRow]) -> None:
    for stage, share in enumerate(SMALL.poison, 1):
        rows = sources([row for row in many if row.stage == stage])
        assert sum(row.poison for row in rows) / len(rows) == pytest.approx(share, abs=0.025)


def test_fixable_noise_and_repetition_come_at_their_rates(many: list[LogRow]) -> None:
    rows = sources(many)
    count = len(rows)
    flags = Counter(flag for row in rows for flag in row.flags)
    for name, (rate, _) in FIXABLE.items():
        # Less where an empty message or a replaced text leaves nothing to perturb.
        assert 0.6 * rate - 0.004 < flags[name] / count < rate + 0.012, name
    copies = Counter(flag for row in many for flag in row.flags if flag in REPETITION)
    assert copies["near_duplicate"] / count == pytest.approx(0.05, abs=0.012)
    assert copies["exact_duplicate"] / count == pytest.approx(0.03, abs=0.01)
    assert 0 < copies["retry_storm"] / count < 8 * 0.7 * 0.014


def test_every_type_of_poison_occurs_and_changes_the_text(many: list[LogRow]) -> None:
    seen = Counter(flag for row in many for flag in row.flags)
    assert set(POISON) <= set(seen)
    for row in many:
        assert row.poison == bool(set(row.flags) & set(POISON))
        assert row.answerable == (not (set(row.flags) & set(POISON) - {"label_flip"}))
        if set(row.flags) & set(POISON) - {"label_flip"}:
            assert row.text != row.original


def test_copies_say_the_same(data: ScenarioData) -> None:
    by_source = {row.original: row for row in sources(rows_of(data))}
    copies = [row for row in rows_of(data) if set(row.flags) & set(REPETITION)]
    assert copies
    for row in copies:
        source = by_source[row.original]
        assert row.part is source.part
        if row.flags[-1:] in (("exact_duplicate",), ("retry_storm",)):
            assert row.text == source.text
        if row.flags[-1:] == ("near_duplicate",) and source.text.strip():
            assert row.text != source.text
            assert NearDuplicateIndex([source.text]).matches(row.text)


def test_a_retry_storm_comes_within_seconds_from_one_session(data: ScenarioData) -> None:
    storms = [row for row in rows_of(data) if "retry_storm" in row.flags]
    of = {row.original: row for row in sources(rows_of(data))}
    assert storms
    for row in storms:
        source = of[row.original]
        assert 0 < (row.occurred_at - source.occurred_at).total_seconds() < 8 * 3 + 1
        assert row.metadata["session"] == source.metadata["session"]
        assert row.roll == source.roll


def test_traffic_looks_like_traffic(many: list[LogRow]) -> None:
    slow = sum("timeout" in row.metadata for row in many) / len(many)
    assert slow == pytest.approx(0.015, abs=0.006)
    assert all(float(row.metadata["latency_ms"]) > 0 for row in many)
    for stage in made().stages:
        times = [row.occurred_at for row in stage.train]
        assert all(a <= b for a, b in pairwise(times))


def row(*, flags: tuple[str, ...] = (), kind: float = 0.9, poison: bool = False) -> LogRow:
    return LogRow(
        "r", 1, Part.TRAIN, "t", "t", "a", flags, poison, not poison, Roll(kind, "b"), {}, START
    )


@pytest.mark.parametrize(
    ("given_row", "output", "corrected"),
    [
        (row(), "b", "a"),
        (row(flags=("typos",), kind=0.2), "b", None),
        (row(flags=("typos",), kind=0.2), "a", "a"),
        (row(flags=("typos",), kind=0.3), "b", "a"),
        (row(flags=("label_flip",), poison=True), "a", "b"),
        (row(flags=("off_domain",), poison=True, kind=0.49), "a", "b"),
        (row(flags=("off_domain",), poison=True, kind=0.69), "b", "a"),
        (row(flags=("off_domain",), poison=True, kind=0.70), "a", None),
        (row(flags=("off_domain", "label_flip"), poison=True, kind=0.99), "a", "b"),
    ],
)
def test_what_the_log_says(given_row: LogRow, output: str, corrected: str | None) -> None:
    (found,) = judged([given_row], [output])
    assert found.corrected == corrected
    if corrected is None:
        assert found.verdict is None
    else:
        assert found.verdict is (Verdict.PASS if corrected == output else Verdict.FAIL)


def test_wrong_corrections_come_at_their_rates(many: list[LogRow]) -> None:
    labels = made().labels
    rng = Random(7)
    answers = {one.row.id: one for one in judged(many, [rng.choice(labels) for _ in many])}
    poison = [answers[r.id] for r in many if r.poison and "label_flip" not in r.flags]
    shares = Counter(
        "none" if one.corrected is None else "right" if one.corrected == one.row.truth else "wrong"
        for one in poison
    )
    for kind, share in (("wrong", 0.5), ("right", 0.2), ("none", 0.3)):
        assert shares[kind] / len(poison) == pytest.approx(share, abs=0.05)
    flipped = [answers[r.id].corrected for r in many if "label_flip" in r.flags]
    assert all(label is not None for label in flipped)
    assert len(set(flipped)) == len(labels)


@pytest.mark.parametrize("name", POOLS)
def test_halves_of_a_pool_are_large_and_share_nothing(name: str) -> None:
    development, evaluation = (set(POOLS[name].half(half)) for half in Templates)
    assert min(len(development), len(evaluation)) >= 12
    assert not development & evaluation
    for phrase in development | evaluation:
        if "=" not in phrase or "{" in phrase:
            assert "{" not in filled(phrase, Random(1), text="", label="").replace('{"', "")


@given(st.sampled_from(ROWS), st.integers(0, 1000))
def test_a_near_duplicate_is_near_and_not_equal(example: Example, seed: int) -> None:
    edited = near_duplicate(example.text, Random(seed))
    assert edited != example.text
    assert NearDuplicateIndex([example.text]).matches(edited)


@given(st.sampled_from(ROWS), st.integers(0, 1000), st.sampled_from(list(Templates)))
def test_a_boundary_probe_is_another_text(
    example: Example, seed: int, templates: Templates
) -> None:
    probe = boundary_probe(example.text, example.label, Random(seed), templates, KEY_WORDS)
    assert probe != example.text
    kept = set(example.text.lower().split()) & set(probe.lower().split())
    assert len(kept) >= len(set(example.text.lower().split())) - 6


KEY_WORDS = KeyWords.of(ROWS)


@pytest.mark.parametrize("name", FIXABLE)
@given(example=st.sampled_from(ROWS), seed=st.integers(0, 100))
def test_noise_is_the_same_for_a_seed_and_leaves_something(
    name: str, example: Example, seed: int
) -> None:
    noise = FIXABLE[name][1]
    edited = noise(example.text, Random(seed), Templates.DEVELOPMENT)
    assert edited == noise(example.text, Random(seed), Templates.DEVELOPMENT)
    assert edited.strip()


@pytest.mark.parametrize("text", ["", " ", "?", "ok", "a b"])
@pytest.mark.parametrize("name", FIXABLE)
def test_noise_takes_the_shortest_texts(name: str, text: str) -> None:
    for seed in range(20):
        edited = FIXABLE[name][1](text, Random(seed), Templates.EVALUATION)
        assert edited.strip() or not text.strip()


def test_quick_is_small_enough_for_the_sample() -> None:
    data = made(sizes=quick(DESK).sizes)
    assert len(data.stages) == 3
    assert [stage.poison_share for stage in data.stages] == [0.0, 0.25, 0.40]


def test_too_few_rows_are_named() -> None:
    with pytest.raises(BadInput, match="10 a label and 5000 more"):
        made(sizes=replace(SMALL, first_test=5000, poison=()))


def test_a_missing_data_set_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"clinc150.*train\.jsonl is missing.*--data"):
        load_rows(SCENARIOS["clinc150"], tmp_path)


def test_rows_of_two_labels_repeats_and_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    lines = [
        ("what is my balance", "balance"),
        ("What is my  BALANCE", "balance"),
        ("is it open now", "hours"),
        ("is it open now", "place"),
        ("where are you", "place"),
        ("sing me a song", "oos"),
    ]
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in lines)
    )
    scenario = Scenario("x", str(tmp_path), SMALL, not_labels=("oos",))
    found = load_rows(scenario, NOWHERE)
    assert [row.text for row in found] == ["what is my balance", "where are you"]
