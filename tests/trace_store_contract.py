"""What every TraceStore must do; its tests run against the fake and against a database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.diagnoser.domain.judging import from_feedback, judge_by_reference
from services.diagnoser.domain.opinions import opinions_in_feedback
from services.diagnoser.ports import TraceStore
from shared.domain.traces import Opinion, Verdict, VerdictSource
from shared.domain.triage import Evidence, Family, TriageKind, TriageVerdict
from shared.errors import UnknownThing
from shared.events import FeedbackGiven, TraceLogged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIXABLE = TriageVerdict(TriageKind.FIXABLE, 0.97)
POISON = TriageVerdict(
    TriageKind.POISON,
    0.91,
    Family.LABEL_FLIP,
    (
        Evidence("confident_learning", Family.LABEL_FLIP, 0.9, "close to 12 of 'refund'"),
        Evidence("neighbours", Family.LABEL_FLIP, 0.6, "7 of 10 neighbours say 'refund'"),
    ),
)
GIBBERISH = TriageVerdict(TriageKind.POISON, 0.99, Family.GIBBERISH)


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


class Scene:
    """One model of its own in a store, so that tests do not see each other."""

    def __init__(self, store: TraceStore) -> None:
        self.store = store
        self.model = f"m-{uuid4().hex[:8]}"

    def id(self, name: str) -> str:
        return f"{self.model}-{name}"

    async def log(
        self, name: str, at: datetime = NOW, *, reference: str | None = None, **more: Any
    ) -> str:
        fields: dict[str, Any] = {
            "id": self.id(name),
            "model": self.model,
            "model_version": 1,
            "input": f"text {name}",
            "output": "billing",
            "confidence": 0.8,
            "occurred_at": NOW - timedelta(hours=1),
        }
        logged = TraceLogged(**(fields | more))
        await self.store.add([(logged, judge_by_reference(logged.output, reference))], at)
        return logged.id

    async def tell(
        self,
        trace_id: str,
        answer: str,
        at: datetime,
        *,
        feedback_id: str = "",
        by: str | None = None,
        human: bool = False,
    ) -> None:
        """Feedback as it is taken in: opinions first, then the judgement."""
        known = await self.store.lookup([trace_id])
        verdict = Verdict.PASS if answer == known[trace_id].output else Verdict.FAIL
        judgement = from_feedback(known[trace_id].output, verdict, answer, human=human)
        noted = opinions_in_feedback(
            feedback_id or uuid4().hex,
            trace_id,
            judgement,
            corrector=by,
            standing=known[trace_id].judgement,
        )
        await self.store.note(noted, known, at)
        await self.store.judge({trace_id: judgement}, at)

    async def triage(
        self, at: datetime = NOW, *, diagnosis: str = "d1", **verdicts: TriageVerdict
    ) -> None:
        said = {self.id(name): verdict for name, verdict in verdicts.items()}
        await self.store.record_triage(said, model=self.model, diagnosis_id=diagnosis, now=at)

    async def quarantined(self, limit: int = 100, family: Family | None = None) -> list[str]:
        found = await self.store.quarantined(self.model, limit, family)
        return [trace.id.removeprefix(f"{self.model}-") for trace in found]


def names(scene: Scene, traces: Sequence[Any]) -> list[str]:
    return [trace.id.removeprefix(f"{scene.model}-") for trace in traces]


class TraceStoreContract:
    """Subclasses give the fixture ``scene``."""

    async def test_a_trace_is_stored_once(self, scene: Scene) -> None:
        key = await scene.log("a", reference="returns")
        await scene.log("a", reference="delivery", input="another text")
        [failure] = await scene.store.failures(scene.model, 1, 10)
        assert (failure.id, failure.text, failure.corrected) == (key, "text a", "returns")
        assert failure.occurred_at == NOW - timedelta(hours=1)

    async def test_failures_and_passes_are_the_newest_of_the_version(self, scene: Scene) -> None:
        for at, name in enumerate("abc"):
            await scene.log(name, after(at), reference="returns")
            await scene.log(f"p{name}", after(at), reference="billing")
        await scene.log("old", after(9), reference="returns", model_version=0)
        assert names(scene, await scene.store.failures(scene.model, 1, 2)) == ["c", "b"]
        assert names(scene, await scene.store.passes(scene.model, 1, 2)) == ["pc", "pb"]

    async def test_what_was_logged_comes_back(self, scene: Scene) -> None:
        await scene.log("a", reference="returns", metadata={"channel": "app"})
        await scene.log("b", confidence=None)
        [failure] = await scene.store.failures(scene.model, 1, 10)
        assert failure.metadata == {"channel": "app"}
        assert (failure.opinions, failure.votes, failure.released) == (("returns",), (), False)
        [waiting] = await scene.store.unjudged(scene.model, 1, 10)
        assert (waiting.id, waiting.text, waiting.confidence) == (scene.id("b"), "text b", None)

    async def test_unjudged_are_the_newest_without_any_verdict(self, scene: Scene) -> None:
        for at, name in enumerate("abcd"):
            await scene.log(name, after(at))
        await scene.tell(scene.id("c"), "billing", after(5))
        await scene.log("e", after(6), reference="billing")
        await scene.log("other", after(7), model_version=2)
        assert names(scene, await scene.store.unjudged(scene.model, 1, 2)) == ["d", "b"]

    async def test_outcomes_say_what_was_right(self, scene: Scene) -> None:
        await scene.log("a", reference="returns")
        await scene.log("b", after(1), reference="billing", confidence=None)
        await scene.log("c", after(2))
        found = await scene.store.outcomes(scene.model, 1, 10)
        assert [(o.label, o.confidence, o.right) for o in found] == [
            ("billing", None, True),
            ("billing", 0.8, False),
        ]

    async def test_opinions_are_kept_with_their_voices(self, scene: Scene) -> None:
        key = await scene.log("a", reference="returns")
        await scene.tell(key, "delivery", after(1), by="ann")
        await scene.tell(key, "billing", after(2), by="bob", human=True)
        [passed] = await scene.store.passes(scene.model, 1, 10)
        assert passed.opinions == ("billing", "delivery", "returns")
        assert passed.votes == (
            Opinion("billing", VerdictSource.HUMAN, "bob"),
            Opinion("delivery", VerdictSource.FEEDBACK, "ann"),
            Opinion("returns", VerdictSource.EXACT_MATCH),
        )

    async def test_a_redelivered_opinion_adds_nothing(self, scene: Scene) -> None:
        key = await scene.log("a")
        await scene.tell(key, "delivery", after(1), by="ann", feedback_id="f1")
        await scene.tell(key, "returns", after(2), by="ann", feedback_id="f2")
        await scene.tell(key, "delivery", after(3), by="ann", feedback_id="f1")
        record = await scene.store.record(key)
        assert record is not None
        assert record.votes == (Opinion("returns", VerdictSource.FEEDBACK, "ann"),)

    async def test_words_of_humans_on_any_version(self, scene: Scene) -> None:
        for at, (name, version) in enumerate((("a", 1), ("b", 2), ("c", 2))):
            await scene.log(name, NOW, model_version=version)
            await scene.tell(scene.id(name), "returns", after(at), human=name != "c")
        assert names(scene, await scene.store.human_words(scene.model, 10)) == ["b", "a"]
        assert names(scene, await scene.store.human_words(scene.model, 1)) == ["b"]

    async def test_a_verdict_comes_back_with_its_evidence(self, scene: Scene) -> None:
        await scene.triage(poison=POISON, fine=FIXABLE)
        kept = await scene.store.triage_of(scene.id("poison"))
        assert kept is not None
        assert (kept.verdict, kept.diagnosis_id, kept.at) == (POISON, "d1", NOW)
        fine = await scene.store.triage_of(scene.id("fine"))
        assert fine is not None
        assert fine.verdict == FIXABLE
        assert await scene.store.triage_of(scene.id("never seen")) is None

    async def test_a_newer_verdict_replaces_an_older_one_only(self, scene: Scene) -> None:
        await scene.triage(after(1), diagnosis="d1", a=POISON, b=POISON)
        await scene.triage(after(2), diagnosis="d2", a=FIXABLE, b=POISON, c=POISON)
        await scene.triage(after(1), diagnosis="d1", a=POISON, b=POISON)
        kept = [await scene.store.triage_of(scene.id(name)) for name in "abc"]
        assert [(k.verdict, k.diagnosis_id) for k in kept if k] == [
            (FIXABLE, "d2"),
            (POISON, "d1"),
            (POISON, "d2"),
        ]

    async def test_the_quarantine_holds_poison_newest_first(self, scene: Scene) -> None:
        for name in "abcd":
            await scene.log(name, reference="returns")
        await scene.triage(after(1), a=POISON, b=FIXABLE, c=GIBBERISH)
        await scene.triage(after(2), diagnosis="d2", d=POISON)
        assert sorted(await scene.quarantined()) == ["a", "c", "d"]
        assert await scene.quarantined(limit=1) == ["d"]
        assert await scene.quarantined(family=Family.GIBBERISH) == ["c"]
        [found] = await scene.store.quarantined(scene.model, 1, Family.GIBBERISH)
        assert (found.text, found.output, found.corrected) == ("text c", "billing", "returns")
        assert found.triage.verdict == GIBBERISH

    async def test_a_release_outlives_later_verdicts(self, scene: Scene) -> None:
        for name in "ab":
            await scene.log(name, reference="returns")
        await scene.triage(a=POISON, b=POISON)
        await scene.store.release(scene.id("a"), by="ann", reason="I asked them", now=after(1))
        await scene.store.release(scene.id("a"), by="bob", reason="me too", now=after(2))
        await scene.triage(after(3), diagnosis="d2", a=GIBBERISH, b=POISON)
        assert await scene.quarantined() == ["b"]
        released = {t.id: t.released for t in await scene.store.failures(scene.model, 1, 10)}
        assert released == {scene.id("a"): True, scene.id("b"): False}
        kept = await scene.store.triage_of(scene.id("a"))
        assert kept is not None
        assert kept.release is not None
        assert (kept.verdict, kept.release.by, kept.release.reason, kept.release.at) == (
            GIBBERISH,
            "ann",
            "I asked them",
            after(1),
        )

    async def test_an_unknown_trace_cannot_be_released(self, scene: Scene) -> None:
        with pytest.raises(UnknownThing, match="nowhere"):
            await scene.store.release(scene.id("nowhere"), by="ann", reason="?", now=NOW)

    async def test_the_record_of_a_trace_has_all_of_it(self, scene: Scene) -> None:
        key = await scene.log("a", reference="returns", metadata={"channel": "app"})
        await scene.triage(a=POISON)
        await scene.store.release(key, by="ann", reason="fine", now=after(1))
        record = await scene.store.record(key)
        assert record is not None
        assert (record.trace.text, record.trace.output) == ("text a", "billing")
        assert (record.model, record.model_version) == (scene.model, 1)
        assert record.metadata == {"channel": "app"}
        assert record.judgement is not None
        assert record.judgement.corrected == "returns"
        assert record.triage is not None
        assert record.triage.verdict == POISON
        assert record.release == record.triage.release
        assert await scene.store.record(scene.id("nowhere")) is None

    async def test_parked_feedback_waits_for_its_trace(self, scene: Scene) -> None:
        given = FeedbackGiven(
            id=scene.id("f"), model=scene.model, trace_id=scene.id("a"), verdict=Verdict.PASS
        )
        await scene.store.park([given], NOW)
        await scene.store.park([given], after(1))
        assert list(await scene.store.parked_for([scene.id("a")])) == [given]
        assert (given, NOW) in await scene.store.parked()
        await scene.store.unpark([given.id])
        assert list(await scene.store.parked_for([scene.id("a")])) == []

    async def test_many_verdicts_at_once(self, scene: Scene) -> None:
        many = {f"t{n}": GIBBERISH if n % 7 == 0 else FIXABLE for n in range(5_000)}
        await scene.triage(**many)
        await scene.triage(after(1), diagnosis="d2", **(many | {"t1": GIBBERISH}))
        kept = [await scene.store.triage_of(scene.id(name)) for name in ("t0", "t1", "t4999")]
        assert [(k.verdict, k.diagnosis_id) for k in kept if k] == [
            (GIBBERISH, "d1"),
            (GIBBERISH, "d2"),
            (FIXABLE, "d1"),
        ]
