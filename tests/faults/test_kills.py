"""kill -9 at the worst moments: the run ends once, with one promotion and no lost trace."""

import asyncio

import pytest

from shared.events import (
    CandidatesVerified,
    IterationRequested,
    RunClosed,
    TrainingProgressed,
)
from tests.connected.story import Storyteller

pytestmark = [pytest.mark.connected, pytest.mark.timeout(1200)]


async def test_trainer_killed_in_mid_training(storyteller: Storyteller) -> None:
    story = storyteller
    await story.deploy()
    await story.publish(story.traces())
    await story.until(TrainingProgressed, lambda e: 0 < e.step < e.steps)
    await story.services["trainer"].kill()
    await asyncio.sleep(1)
    story.services["trainer"].start()
    await story.until(RunClosed)
    await story.assert_ended_once()
    jobs = await story.documents.find("jobs", {"model": story.model, "service": "trainer"})
    assert [job["attempt"] for job in jobs] == [1]


async def test_controller_killed_between_two_events(storyteller: Storyteller) -> None:
    story = storyteller
    await story.deploy()
    await story.publish(story.traces())
    await story.until(IterationRequested)
    await story.services["controller"].kill()
    # The others go on; their news waits on the topic.
    await story.until(CandidatesVerified)
    story.services["controller"].start()
    await asyncio.sleep(0.5)
    await story.services["controller"].kill()
    story.services["controller"].start()
    await story.until(RunClosed)
    await story.assert_ended_once()


async def test_diagnoser_killed_while_traces_pour_in(storyteller: Storyteller) -> None:
    story = storyteller
    await story.deploy()
    rows = story.answered.answers
    # All right: this is about the traces, no run shall begin.
    many = [
        story.trace(row, row.target, id=f"{story.model}-{number}")
        for number, (row, _) in enumerate(rows * 8)
    ]
    sending = asyncio.create_task(story.publish(many))
    while await story.stored_traces() < len(many) // 4:
        await asyncio.sleep(0.05)
    await story.services["diagnoser"].kill()
    await sending
    story.services["diagnoser"].start()
    async with asyncio.timeout(300):
        while await story.stored_traces() < len(many):
            await asyncio.sleep(0.2)
    await asyncio.sleep(1)
    assert await story.stored_traces() == len(many)
