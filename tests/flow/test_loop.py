"""From failures to a promotion, through all five rooms, in seconds."""

from shared.events import (
    CandidatesTrained,
    CandidatesVerified,
    FailuresDiagnosed,
    IterationRequested,
    ModelPromoted,
    RunClosed,
    TrainingSetSynthesized,
)
from tests.flow.conftest import House, sample_rows


async def test_failures_end_in_a_promotion(house: House) -> None:
    rows = sample_rows()
    known, traffic = rows[:40], rows[40:]
    registered = await house.deploy(known, [row.target for row in rows])
    wrong = await house.serve(traffic, registered)
    await house.run_loops()

    [diagnosed] = house.of(FailuresDiagnosed)
    assert diagnosed.failures == wrong == diagnosed.repair + diagnosed.heldout
    assert [event.iteration for event in house.of(IterationRequested)] == [1, 2]
    [closed] = house.of(RunClosed)
    assert closed.outcome == "promoted"
    first, second = house.of(ModelPromoted)
    assert (first.deployed.version.number, second.deployed.version.number) == (1, 2)
    verified = house.of(CandidatesVerified)
    best = max(v.report.score for event in verified for v in event.verdicts if v.report)
    assert second.deployed.version.heldout_score == best > 0
    assert house.dead == []
