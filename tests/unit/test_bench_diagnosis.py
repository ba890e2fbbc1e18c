"""The diagnosis benchmark: the failures it makes up, how it times, and what it concludes."""

import time
from collections import Counter
from pathlib import Path

import pytest

from bench.diagnosis import SAMPLE, load_queries, summary
from bench.diagnosis_case import Watch
from bench.failure_texts import NEAR_DUPLICATES, make_traces
from shared.domain.near_duplicates import group_near_duplicates, normalise
from shared.domain.traces import Verdict

QUERIES = load_queries(Path("/nowhere"))


def row(failures: int, total: float, taxonomy: float, peak: int = 900) -> dict[str, object]:
    return {
        "failures": failures,
        "total_seconds": total,
        "peak_mb": peak,
        "seconds": {"taxonomy": taxonomy, "remedies": 0.0},
    }


def test_without_data_sets_the_sample_serves() -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    assert len(QUERIES) == len(lines)


def test_made_up_failures_are_mostly_new_texts_with_few_near_duplicates() -> None:
    made = make_traces(QUERIES, 1500, verdict=Verdict.FAIL, seed=3)
    known = {normalise(" ".join(query.words)) for query in QUERIES}
    texts = [trace.text for trace in made]
    assert sum(normalise(text) in known for text in texts) < 0.1 * len(texts)
    repeated = len(texts) - len(set(group_near_duplicates(texts)))
    assert 0.5 * NEAR_DUPLICATES < repeated / len(texts) < 4 * NEAR_DUPLICATES


def test_failures_are_wrong_and_passes_right() -> None:
    labels = {query.label for query in QUERIES}
    failed = make_traces(QUERIES, 300, verdict=Verdict.FAIL, seed=3)
    passed = make_traces(QUERIES, 300, verdict=Verdict.PASS, seed=3)
    assert {trace.output for trace in (*failed, *passed)} <= labels
    assert all(trace.output == trace.corrected for trace in passed)
    assert Counter(trace.output == trace.corrected for trace in failed)[True] < 10


def test_the_same_seed_makes_the_same_failures() -> None:
    first, again, other = (
        make_traces(QUERIES, 60, verdict=Verdict.FAIL, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_stage_within_a_stage_is_counted_once() -> None:
    watch = Watch()
    inner = watch.timed(lambda: time.sleep(0.02), "inner")
    start = time.perf_counter()
    with watch.stage("outer"):
        inner()
        inner()
    spent = time.perf_counter() - start
    assert watch.seconds["inner"] >= 0.04
    assert sum(watch.seconds.values()) == pytest.approx(spent, abs=0.005)


def test_goals_are_judged_by_the_largest_and_the_growth_to_it() -> None:
    found = summary([row(100, 8.0, 1.0), row(1000, 80.0, 20.0), row(10, 1.0, 0.2, peak=5000)])
    assert found["goals"]["seconds"] == {"value": 80.0, "at_most": 120.0, "reached": True}
    assert found["goals"]["peak_mb"]["reached"]
    assert found["goals"]["exponent"]["value"] == pytest.approx(0.952, abs=0.001)
    assert found["exponent_of_stage"] == {"taxonomy": 1.0}
    slow = summary([row(10, 1.0, 1.0), row(100, 130.0, 1.0)])
    assert not slow["goals"]["seconds"]["reached"]
    assert not slow["goals"]["exponent"]["reached"]
