"""``pioneer runs``: a run as a log and as a picture."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from rich.console import Console
from typer.testing import CliRunner

from services.controller.domain.refusal import Refusal
from services.controller.domain.run import Run
from services.controller.domain.run_log import run_log
from shared.cli import runs
from shared.cli.run_graph import draw
from shared.errors import UnknownThing
from tests.fakes.documents import InMemoryDocuments
from tests.unit.run_builders import iterated
from tests.unit.test_search import STUCK, planned


@pytest.fixture
def store() -> InMemoryDocuments:
    return InMemoryDocuments()


@pytest.fixture
def run(store: InMemoryDocuments, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A stored run, read back by the commands."""
    found = iterated(*planned(*STUCK))
    state = TypeAdapter(Run).dump_python(found, mode="json")
    store.collections["runs"][found.id] = {"_id": found.id, "state": state, "version": 1}

    @asynccontextmanager
    async def reading() -> AsyncGenerator[InMemoryDocuments]:
        yield store

    monkeypatch.setattr(runs, "reading", reading)
    monkeypatch.setattr(runs, "console", Console(width=200))
    return found


def told(*arguments: str) -> str:
    result = CliRunner().invoke(runs.app, arguments)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_the_log_is_printed_as_it_is(run: Run) -> None:
    assert told("show", run.id[:8], "--log") == run_log(run)


def test_without_it_iterations_and_verdicts_are_a_table(run: Run) -> None:
    output = told("show", run.id)
    assert "iteration 3 (roll_back)" in output
    assert "admitted: 86 of 100" in output


def test_the_picture_is_written_where_one_says(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "run.svg"
    assert told("graph", run.id, "--to", str(file)).strip() == str(file)
    assert file.read_text(encoding="utf-8") == draw(run)


def test_an_unknown_run_is_refused(run: Run) -> None:
    with pytest.raises(UnknownThing, match="0 runs begin with 'nothing'"):
        told("graph", "nothing")


def refused(store: InMemoryDocuments, run_id: str) -> Refusal:
    """A task that could not be started, as the controller keeps it."""
    reason = "train.jsonl:2: label [/a] has one example: give it 2"
    found = Refusal(
        run_id, "mail", "submission", "failed", reason, datetime(2026, 1, 1, tzinfo=UTC)
    )
    state = TypeAdapter(Refusal).dump_python(found, mode="json")
    store.collections["refused_tasks"][run_id] = {"_id": run_id, "state": state, "version": 1}
    return found


def test_a_task_that_could_not_be_started_is_a_run_too(run: Run, store: InMemoryDocuments) -> None:
    never = refused(store, "0000-refused")
    listed = told("list")
    assert "0000-refused" in listed
    assert run.id in listed
    assert "0000-refused" in told("list", "--model", "mail")
    assert run.id not in told("list", "--model", "mail")
    for shown in (told("show", "0000"), told("show", "0000", "--log")):
        assert f"run 0000-refused of mail: failed, {never.reason}" in shown
    with pytest.raises(UnknownThing, match="never began, there is nothing to draw"):
        told("graph", "0000")


def test_a_run_that_began_is_shown_once_whatever_was_refused_later(
    run: Run, store: InMemoryDocuments
) -> None:
    refused(store, run.id)
    assert told("list").count(run.id) == 1
    assert told("show", run.id, "--log") == run_log(run)
