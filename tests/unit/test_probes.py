"""Probes say the same in other words, touch nothing that is measured, and settle each pattern."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.background import Background
from services.diagnoser.domain.confirmation import Confirmation, confirm, error_rates
from services.diagnoser.domain.probes import (
    Probe,
    ProbeKind,
    ProbeRow,
    make_probes,
    material,
    rows_to_ask,
    with_written,
)
from services.diagnoser.domain.taxonomy import find_patterns
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates
from shared.domain.patterns import ErrorPattern, RootCause, Standing
from shared.domain.rows import Row
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from shared.domain.triage import Family
from shared.domain.written import WrittenRow

OPENINGS = ("can you tell me", "i want to know", "please find out", "do you know")
THINGS = ("my order", "the parcel", "the sofa", "my lamp", "the blue chair", "my desk")
ENDS = {
    "status": ("where {} is right now", "when {} comes to my door", "how far {} is by now"),
    "refund": ("how much money {} gives back", "what i get for {} in cash", "who pays {} back"),
}
RIGHT = [
    Row(f"{label}-{opening[:5]}-{thing}-{at}", f"{opening} {end.format(thing)}", label)
    for label, ends in ENDS.items()
    for at, end in enumerate(ends)
    for opening in OPENINGS
    for thing in THINGS
]


def failure(at: int, text: str) -> JudgedTrace:
    return JudgedTrace(f"f{at}", text, "refund", Verdict.FAIL, "status", VerdictSource.HUMAN, 0.9)


TEXTS = (
    "would you be so kind to say where my table is right now",
    "i want to know where the broken mirror is right now for sure",
    "do you know when the sofa comes to my own front door",
    "please find out how far the parcel is by now in miles",
)
FAILURES = [failure(at, text) for at, text in enumerate(TEXTS)]


def patterns_of(failures: list[JudgedTrace]) -> tuple[ErrorPattern, ...]:
    return find_patterns(failures, np.ones((len(failures), 2), np.float32) / np.sqrt(2))


PATTERNS = patterns_of(FAILURES)


def probes(
    patterns: tuple[ErrorPattern, ...] = PATTERNS,
    *,
    avoid: list[str] | None = None,
    seed: int = 0,
    per_pattern: int = 12,
) -> tuple[Probe, ...]:
    return make_probes(
        patterns, FAILURES, RIGHT, avoid=avoid or [], seed=seed, per_pattern=per_pattern
    )


def test_probes_carry_the_right_label_their_source_and_a_reason() -> None:
    made = probes()
    assert len(made) >= 6
    for probe in made:
        assert (probe.target, probe.pattern) == ("status", PATTERNS[0].id)
        [source] = [f for f in FAILURES if f.id == probe.source]
        assert source.text in probe.reason
    assert {probe.kind for probe in made} >= {ProbeKind.OPENING, ProbeKind.WORD}
    assert rows_to_ask(made)[0] == Row(made[0].id, made[0].text, "status")


def test_equal_input_gives_equal_probes_and_another_seed_others() -> None:
    assert probes() == probes()
    assert {p.text for p in probes(seed=1)} != {p.text for p in probes()}


def test_probes_say_only_what_right_texts_of_the_label_or_the_failure_say() -> None:
    said = {word for row in RIGHT if row.target == "status" for word in row.text.split()}
    said |= {word for opening in OPENINGS for word in opening.split()}
    said |= {word for text in TEXTS for word in text.split()}
    assert {word for probe in probes() for word in probe.text.split()} <= said


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12))
def test_no_probe_is_near_what_is_measured_known_or_another_probe(seed: int, hide: int) -> None:
    measured = [probe.text for probe in probes(seed=seed)][:hide]
    made = [probe.text for probe in probes(seed=seed, avoid=measured)]
    known = [*measured, *TEXTS, *(row.text for row in RIGHT)]
    assert not any(NearDuplicateIndex(known).match_each(made))
    assert len(set(group_near_duplicates(made))) == len(made)


def test_no_more_than_asked_for_and_none_for_what_cannot_be_fixed() -> None:
    assert len(probes(per_pattern=3)) == 3
    [pattern] = PATTERNS
    assert probes((replace(pattern, fixable=False),)) == ()
    assert probes((replace(pattern, cause=RootCause.WRONG_REFERENCE),)) == ()


def test_a_noise_pattern_is_probed_with_noisy_forms_of_right_texts() -> None:
    [pattern] = PATTERNS
    shape = replace(pattern.shape, noise=((Family.MISSPELLING, 1.0),))
    noisy = replace(pattern, cause=RootCause.NOISE_FAMILY, shape=shape)
    made = probes((noisy,))
    right = {row.id: row for row in RIGHT}
    assert len(made) >= 3
    for probe in made:
        assert probe.kind is ProbeKind.NOISE
        assert right[probe.source].target == "status"
        assert probe.text != right[probe.source].text
        assert "misspelling" in probe.reason


def test_a_pattern_of_long_inputs_is_probed_with_longer_ones() -> None:
    long = [failure(at, f"{text} " + "and so on and on " * 8) for at, text in enumerate(TEXTS)]
    [pattern] = patterns_of(long)
    made = make_probes([pattern], long, RIGHT, avoid=[])
    assert made
    assert {probe.kind for probe in made} == {ProbeKind.LONGER}
    assert min(len(p.text.split()) for p in made) > max(len(row.text.split()) for row in RIGHT)


def answered(failed: int, of: int) -> Confirmation:
    made = [
        Probe(f"p{at}", f"t{at}", "status", PATTERNS[0].id, ProbeKind.WORD, "f0", "why")
        for at in range(12)
    ]
    outputs = {f"p{at}": "refund" if at < failed else "status" for at in range(of)}
    [found] = confirm(PATTERNS, made, outputs)
    assert (found.asked, found.failed, found.pattern) == (of, failed, PATTERNS[0].id)
    return found


@pytest.mark.parametrize(
    ("failed", "of", "standing"),
    [
        (0, 0, Standing.UNTESTED),
        (1, 1, Standing.CONFIRMED),
        (0, 4, Standing.UNTESTED),
        (12, 12, Standing.CONFIRMED),
        (5, 12, Standing.CONFIRMED),
        (2, 12, Standing.UNTESTED),
        (1, 12, Standing.SPURIOUS),
        (0, 12, Standing.SPURIOUS),
    ],
)
def test_probes_settle_a_pattern_when_there_are_enough(
    failed: int, of: int, standing: Standing
) -> None:
    found = answered(failed, of)
    assert found.standing is standing
    assert not of or f"{failed} of {of} probes fail" in found.reason


def test_more_failing_probes_never_speak_against_a_pattern() -> None:
    order = [Standing.SPURIOUS, Standing.UNTESTED, Standing.CONFIRMED]
    standings = [order.index(answered(failed, 12).standing) for failed in range(13)]
    assert standings == sorted(standings)


def test_a_label_that_often_fails_anyway_needs_more_failing_probes() -> None:
    made = [replace(p, id=f"p{at}") for at, p in enumerate(probes(per_pattern=12))]
    assert len(made) >= 8
    outputs = {p.id: "refund" if at < 3 else "status" for at, p in enumerate(made[:8])}
    [seldom] = confirm(PATTERNS, made, outputs)
    [often] = confirm(PATTERNS, made, outputs, usual_errors={"status": 0.25})
    assert seldom.standing is Standing.CONFIRMED
    assert often.standing is Standing.UNTESTED


def test_error_rates_are_shares_of_each_label() -> None:
    passes = [replace(FAILURES[0], id=f"p{at}", output="status") for at in range(12)]
    assert error_rates(FAILURES, passes) == {"status": 0.25}


def test_failing_probes_become_material_and_the_others_do_not() -> None:
    first, second, third = probes(per_pattern=3)
    rows = material([first, second, third], {first.id: "refund", second.id: "status"})
    assert rows == [
        ProbeRow(
            first.id,
            first.text,
            "status",
            "refund",
            first.pattern,
            first.source,
            first.reason,
        )
    ]


def test_written_probes_are_asked_beside_the_made_ones_but_are_no_material() -> None:
    made = probes(per_pattern=3)
    texts = (made[0].text, "my parcel is a day late", "a day late is my parcel", "who has my sofa")
    rows = [WrittenRow(text=text, label="status") for text in texts]
    both = with_written(made, {PATTERNS[0].id: rows})
    assert both[: len(made)] == made
    more = both[len(made) :]
    assert [probe.text for probe in more] == ["my parcel is a day late", "who has my sofa"]
    assert {probe.kind for probe in more} == {ProbeKind.WRITTEN}
    assert with_written(made, {}) == made
    assert material(both, {probe.id: "refund" for probe in more}) == []
    [found] = confirm(PATTERNS, both, {probe.id: "refund" for probe in both})
    assert found.asked == len(both)


def test_a_pass_of_a_sample_stands_for_several() -> None:
    passes = [replace(FAILURES[0], id="p", output="status")] * 4
    assert error_rates(FAILURES, passes, each_pass_is=9.0) == {"status": 0.1}


def test_probes_need_no_background() -> None:
    assert make_probes([], [], [], avoid=["x"]) == ()
    assert find_patterns(FAILURES, np.ones((4, 2), np.float32), Background())
