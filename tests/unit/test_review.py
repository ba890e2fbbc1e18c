"""What a human should judge next, what is on offer, and what the terminal shows of it."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from services.diagnoser.ingest import Ingest
from services.diagnoser.models import KnownModels
from services.diagnoser.review import offer_for, review_queue
from shared.cli.trace_views import quarantine_view, review_view, trace_view
from shared.cli.traces import accepted
from shared.domain.traces import Verdict
from shared.domain.triage import Evidence, Family, TriageKind, TriageVerdict
from shared.errors import BadInput, UnknownThing
from tests.fakes.documents import InMemoryDocuments, InMemoryTraces
from tests.trace_store_contract import POISON, Scene, after

TEXT = "please freeze my account right now"


@pytest.fixture
def scene() -> Scene:
    return Scene(InMemoryTraces())


async def corrected(scene: Scene, name: str, text: str, answer: str) -> None:
    key = await scene.log(name, input=text)
    await scene.tell(key, answer, after(1), by="ann", human=True)


def shown(*parts: object) -> str:
    console = Console(file=StringIO(), width=160, force_terminal=True, color_system="truecolor")
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]


async def test_the_least_certain_come_first(scene: Scene) -> None:
    for at in range(60):
        await scene.log(f"bad{at}", output="bad", reference="other", confidence=0.95)
        await scene.log(f"good{at}", output="good", reference="good", confidence=0.95)
    await scene.log("a", output="good", confidence=0.95)
    await scene.log("b", output="bad", confidence=0.96)
    await scene.log("c", output="good", confidence=0.5)
    queue = await review_queue(scene.store, scene.model, 1)
    assert [item.trace.output for item in queue] == ["bad", "good", "good"]
    assert [item.confidence for item in queue] == sorted(item.confidence for item in queue)
    assert queue[1].trace.confidence == 0.5


async def test_an_offer_waits_and_changes_nothing(scene: Scene) -> None:
    await corrected(scene, "c", TEXT, "freeze")
    key = await scene.log("a", input=f"{TEXT}!")
    await scene.log("b", input="what is the weather in rome")
    queue = await review_queue(scene.store, scene.model, 1)
    offers = {item.trace.id: item.offer for item in queue}
    assert offers[scene.id("b")] is None
    offer = offers[key]
    assert offer is not None
    assert (offer.answer, offer.source_id) == ("freeze", scene.id("c"))
    record = await scene.store.record(key)
    assert record is not None
    assert record.judgement is None


async def test_an_accepted_offer_is_a_humans_feedback(scene: Scene) -> None:
    await corrected(scene, "c", TEXT, "freeze")
    key = await scene.log("a", input=f"{TEXT}!")
    record, offer = await offer_for(scene.store, key)
    given = accepted(record, offer, by="bob")
    assert given == accepted(record, offer, by="bob")
    models = KnownModels(InMemoryDocuments())
    ingest = Ingest(scene.store, models, max_text_chars=999, feedback_grace=timedelta())
    assert await ingest.take_feedback([given], after(2)) == {}
    record = await scene.store.record(key)
    assert record is not None
    assert record.judgement is not None
    assert (record.judgement.verdict, record.judgement.corrected) == (Verdict.FAIL, "freeze")
    assert scene.id("c") in record.judgement.reason
    assert record.votes[0].corrector == "bob"
    with pytest.raises(BadInput, match="judged by a human already: 'freeze'"):
        await offer_for(scene.store, key)


async def test_an_offer_of_the_models_own_answer_passes_it(scene: Scene) -> None:
    await corrected(scene, "c", TEXT, "billing")
    key = await scene.log("a", input=TEXT)
    given = accepted(*await offer_for(scene.store, key), by="bob")
    assert given.verdict is Verdict.PASS


async def test_without_an_offer_there_is_nothing_to_accept(scene: Scene) -> None:
    key = await scene.log("a")
    with pytest.raises(UnknownThing, match="is offered no correction"):
        await offer_for(scene.store, key)
    with pytest.raises(UnknownThing, match="is unknown"):
        await offer_for(scene.store, "nowhere")


async def test_explaining_a_trace_shows_every_sign(scene: Scene) -> None:
    key = await scene.log("a", input=TEXT, reference="returns", metadata={"channel": "app"})
    await scene.tell(key, "delivery", after(1), by="ann")
    await scene.triage(a=POISON)
    await scene.store.release(key, by="bob", reason="they asked for it", now=after(2))
    record = await scene.store.record(key)
    assert record is not None
    text = shown(*trace_view(record))
    for sign in (
        TEXT,
        "delivery",
        "ann",
        "poison, label_flip, confidence 0.91",
        "7 of 10 neighbours say 'refund'",
        "confident_learning",
        "released by bob",
        "they asked for it",
        "channel=app",
    ):
        assert sign in text


async def test_texts_of_strangers_do_not_steer_the_terminal(scene: Scene) -> None:
    evil = "[bold red]hi[/bold red] \x1b]0;owned\x07 \x1b[2J [/nothing]"
    key = await scene.log("a", input=evil, output=evil, reference="[/] \x1b[31m")
    spoken = Evidence("s", Family.GIBBERISH, 0.9, evil)
    await scene.triage(a=TriageVerdict(TriageKind.POISON, 0.9, Family.GIBBERISH, (spoken,)))
    await scene.log("b", input=evil, output=evil)
    record = await scene.store.record(key)
    assert record is not None
    found = await scene.store.quarantined(scene.model, 10)
    queue = await review_queue(scene.store, scene.model, 1)
    text = shown(*trace_view(record), *quarantine_view(found, each=5), review_view(queue))
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert text.count("[bold red]hi[/bold red]") >= 4


async def test_the_quarantine_is_shown_by_family_the_largest_first(scene: Scene) -> None:
    for name in "abc":
        await scene.log(name, reference="returns")
    weak = TriageVerdict(TriageKind.POISON, 0.6)
    await scene.triage(a=POISON, b=POISON, c=weak)
    found = await scene.store.quarantined(scene.model, 10)
    text = shown(*quarantine_view(found, each=1))
    assert text.index("label_flip: 2") < text.index("several weak signs: 1")
    assert text.count(f"{scene.model}-") == 2
