"""``pioneer traces``: why one is learned from or not, what is quarantined, what to judge next."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from getpass import getuser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from shared.adapters.kafka import publishing
from shared.cli.environment import client_settings, reading
from shared.cli.trace_views import plain, quarantine_view, review_view, trace_view
from shared.domain.ids import derive_id
from shared.domain.traces import Verdict
from shared.domain.triage import Family
from shared.errors import BadInput, UnknownThing
from shared.events import Event, FeedbackGiven, TraceReleased

if TYPE_CHECKING:
    from services.diagnoser.domain.propagation import Offer
    from services.diagnoser.models import KnownModels
    from services.diagnoser.ports import QuarantinedTrace, TraceRecord, TraceStore
    from services.diagnoser.review import ReviewItem

app = typer.Typer(help="Inspect, release and review traces.", no_args_is_help=True)
console = Console()

TraceId = Annotated[str, typer.Argument(help="The trace's id.")]
Model = Annotated[str, typer.Option(help="The model's name.")]
By = Annotated[str | None, typer.Option(help="Who says so; else the user of this machine.")]


@app.command()
def explain(trace_id: TraceId) -> None:
    """One trace: what was asked and answered, what was said of it, and what triage made of it."""
    for part in trace_view(asyncio.run(_record(trace_id))):
        console.print(part)


@app.command()
def quarantine(
    model: Model,
    family: Annotated[Family | None, typer.Option(help="Only this family.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Look at so many, the newest.")] = 1_000,
    each: Annotated[int, typer.Option(min=0, help="Show so many of each family.")] = 5,
) -> None:
    """What is kept from training, by family. Nothing of it is deleted."""
    found = asyncio.run(_quarantined(model, limit, family))
    if not found:
        console.print(f"nothing of {model} is in quarantine")
        return
    for table in quarantine_view(found, each=each):
        console.print(table)
    more = ", the newest: raise --limit for more" if len(found) == limit else ""
    console.print(f"{len(found)} in quarantine{more}")
    console.print("why: pioneer traces explain ID")
    console.print("if it is no poison: pioneer traces release ID --reason …")


@app.command()
def release(
    trace_id: TraceId,
    reason: Annotated[str, typer.Option(help="Why it may be learned from; kept with the trace.")],
    by: By = None,
) -> None:
    """Take a trace out of quarantine for good."""
    if not reason.strip():
        raise BadInput("--reason is empty: say why, for those who ask later")
    record = asyncio.run(_record(trace_id))
    who = by or _user()
    event = TraceReleased(
        id=derive_id("released", trace_id, who, reason),
        model=record.model,
        trace_id=trace_id,
        by=who,
        reason=reason,
    )
    asyncio.run(_publish(event))
    console.print(plain(f"asked to release {trace_id}; see: pioneer traces explain {trace_id}"))


@app.command()
def review(
    model: Model,
    version: Annotated[int | None, typer.Option(help="Else the version in production.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many.")] = 20,
    look_at: Annotated[int, typer.Option(min=1, help="Newest traces to choose from.")] = 5_000,
) -> None:
    """Unjudged traces, the least certain first, and corrections of similar ones on offer."""
    queue = asyncio.run(_review(model, version, look_at))
    if not queue:
        console.print(f"every trace of {model} is judged")
        return
    console.print(review_view(queue[:limit]))
    offers = sum(item.offer is not None for item in queue)
    console.print(f"{len(queue)} to judge, {offers} with an offer: nothing is applied unasked")
    console.print("take an offer: pioneer traces accept ID --answer OFFER")


@app.command()
def accept(
    trace_id: TraceId,
    answer: Annotated[
        str | None, typer.Option(help="The offer you saw; another one is not accepted.")
    ] = None,
    by: By = None,
) -> None:
    """Give the answer on offer as your own feedback on a trace."""
    record, offer = asyncio.run(_offer(trace_id))
    if answer is not None and answer.strip() != offer.answer:
        raise BadInput(
            f"trace {trace_id!r} is offered {offer.answer!r} now, not {answer!r}: look again"
        )
    asyncio.run(_publish(accepted(record, offer, by=by or _user())))
    console.print(plain(f"accepted {offer.answer!r} for {trace_id}, as in {offer.source_id}"))


def accepted(record: "TraceRecord", offer: "Offer", *, by: str) -> FeedbackGiven:
    """A human's feedback that takes an offer: the same offer taken again is the same feedback."""
    right = offer.answer == record.trace.output.strip()
    return FeedbackGiven(
        id=derive_id("accepted", record.trace.id, offer.source_id, offer.answer, by),
        model=record.model,
        trace_id=record.trace.id,
        verdict=Verdict.PASS if right else Verdict.FAIL,
        corrected_output=offer.answer,
        human=True,
        reason=f"as corrected in trace {offer.source_id}, {offer.similarity:.2f} similar",
        corrector=by,
    )


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):
        raise BadInput("this machine does not know who you are: give --by NAME") from None


@asynccontextmanager
async def _opened() -> "AsyncGenerator[tuple[TraceStore, KnownModels]]":
    # Here, because other commands must not wait for it.
    from services.diagnoser.adapters.mongo_traces import MongoTraces
    from services.diagnoser.models import KnownModels

    async with reading() as documents:
        yield MongoTraces(documents), KnownModels(documents)


async def _record(trace_id: str) -> "TraceRecord":
    async with _opened() as (traces, _):
        record = await traces.record(trace_id)
    if record is None:
        raise UnknownThing(f"trace {trace_id!r} is unknown: ids are those that serving logged")
    return record


async def _quarantined(model: str, limit: int, family: Family | None) -> "list[QuarantinedTrace]":
    async with _opened() as (traces, _):
        return list(await traces.quarantined(model, limit, family))


async def _review(model: str, version: int | None, look_at: int) -> "list[ReviewItem]":
    from services.diagnoser.review import review_queue

    async with _opened() as (traces, models):
        if version is None:
            view = await models.get(model)
            if view is None:
                raise UnknownThing(f"model {model!r} is not registered: see pioneer models list")
            version = view.deployed.version.number
        return await review_queue(traces, model, version, look_at=look_at)


async def _offer(trace_id: str) -> "tuple[TraceRecord, Offer]":
    from services.diagnoser.review import offer_for

    async with _opened() as (traces, _):
        return await offer_for(traces, trace_id)


async def _publish(event: Event) -> None:
    async with publishing(client_settings(), source="cli") as publisher:
        await publisher.publish(event)
