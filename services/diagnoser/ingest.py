"""Joins traces with feedback, judges what carries a reference, and refuses what cannot be right."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.diagnoser.domain.judging import from_feedback, judge_by_reference, supersede
from services.diagnoser.domain.opinions import NotedOpinion, opinions_in_feedback
from services.diagnoser.models import KnownModels
from services.diagnoser.ports import StoredTrace, TraceStore
from shared.domain.lineage import DeployedModel
from shared.domain.traces import Judgement
from shared.errors import BadInput, PermanentError, UnknownThing
from shared.events import FeedbackGiven, TraceLogged, TraceReleased
from shared.tasks import behaviour

# Messages that cannot be taken, by their place in the batch, each with its reason.
Refused = dict[int, PermanentError]


class Ingest:
    """Takes traces and feedback in any order; a repeat changes nothing."""

    def __init__(
        self,
        traces: TraceStore,
        models: KnownModels,
        *,
        max_text_chars: int,
        feedback_grace: timedelta,
    ) -> None:
        self._traces = traces
        self._models = models
        self._max_text_chars = max_text_chars
        self._feedback_grace = feedback_grace

    async def take_traces(self, traces: Sequence[TraceLogged], now: datetime) -> Refused:
        """Judge and store a batch. Feedback that came before its trace is applied here."""
        deployed = await self._models.deployed({t.model for t in traces})
        refused, accepted = Refused(), list[tuple[TraceLogged, Judgement | None]]()
        for place, trace in enumerate(traces):
            model = deployed.get(trace.model)
            try:
                self._check(trace, model)
            except BadInput as error:
                refused[place] = error
            else:
                accepted.append(_judged(trace, model))
        await self._traces.add(accepted, now)
        waiting = await self._traces.parked_for([trace.id for trace, _ in accepted])
        if waiting:
            bad = await self.apply(waiting, now)
            # What is refused stays parked, for the loop to bury.
            await self._traces.unpark([f.id for at, f in enumerate(waiting) if at not in bad])
        return refused

    async def take_feedback(self, feedback: Sequence[FeedbackGiven], now: datetime) -> Refused:
        """Judge traces by feedback; feedback whose trace is not there yet is parked."""
        return await self.apply(feedback, now, park=True)

    async def settle_parked(self, now: datetime) -> list[tuple[FeedbackGiven, PermanentError]]:
        """Apply parked feedback whose trace has come; what is wrong or too late comes back.

        It stays parked until ``forget``: bury it first, so that a crash cannot lose it.
        """
        parked = await self._traces.parked()
        known = await self._traces.lookup([f.trace_id for f, _ in parked])
        ready = [f for f, _ in parked if f.trace_id in known]
        refused = await self.apply(ready, now)
        late = [
            f
            for f, came_at in parked
            if f.trace_id not in known and now - came_at >= self._feedback_grace
        ]
        await self._traces.unpark([f.id for at, f in enumerate(ready) if at not in refused])
        return [(ready[place], error) for place, error in refused.items()] + [
            (
                f,
                UnknownThing(
                    f"trace {f.trace_id!r} is unknown, {self._feedback_grace} after its feedback"
                ),
            )
            for f in late
        ]

    async def forget(self, feedback: FeedbackGiven) -> None:
        """Unpark feedback that lies among the dead letters now."""
        await self._traces.unpark([feedback.id])

    async def apply(
        self, feedback: Sequence[FeedbackGiven], now: datetime, *, park: bool = False
    ) -> Refused:
        """Supersede judgements by feedback, in order; the stronger source wins (paper §1)."""
        known = await self._traces.lookup(sorted({f.trace_id for f in feedback}))
        deployed = await self._models.deployed({f.model for f in feedback})
        refused, parked, judged = Refused(), list[FeedbackGiven](), dict[str, Judgement]()
        opinions: list[NotedOpinion] = []
        for place, given in enumerate(feedback):
            trace = known.get(given.trace_id)
            if trace is None:
                parked.append(given)
                continue
            try:
                judgement = _judge(given, trace, deployed.get(given.model))
            except BadInput as error:
                refused[place] = error
                continue
            before = judged.get(trace.id, trace.judgement)
            judged[trace.id] = supersede(before, judgement)
            opinions += opinions_in_feedback(
                given.id, trace.id, judgement, corrector=given.corrector, standing=trace.judgement
            )
        # Before the judgement: it may supersede a reference, which is an opinion as well.
        await self._traces.note(opinions, known, now)
        await self._traces.judge({k: j for k, j in judged.items() if j != known[k].judgement}, now)
        if park and parked:
            await self._traces.park(parked, now)
        return refused

    async def release(self, event: TraceReleased, now: datetime) -> None:
        """Take a trace out of quarantine. Raises UnknownThing and BadInput."""
        known = await self._traces.lookup([event.trace_id])
        trace = known.get(event.trace_id)
        if trace and trace.model != event.model:
            raise BadInput(
                f"release names model {event.model!r}, "
                f"but trace {event.trace_id!r} is of {trace.model!r}"
            )
        await self._traces.release(event.trace_id, by=event.by, reason=event.reason, now=now)

    def _check(self, trace: TraceLogged, model: DeployedModel | None) -> None:
        longest = {
            "input": trace.input,
            "output": trace.output,
            "reference": trace.reference or "",
            "metadata": max((k + v for k, v in trace.metadata.items()), key=len, default=""),
        }
        for name, text in longest.items():
            if len(text) > self._max_text_chars:
                raise BadInput(
                    f"{name} has {len(text)} characters, more than PIONEER_MAX_TEXT_CHARS="
                    f"{self._max_text_chars}: shorten it before logging"
                )
        if model and trace.reference is not None:
            _check_answer(trace.reference, "reference", model, trace.input)


def _judged(
    trace: TraceLogged, model: DeployedModel | None
) -> tuple[TraceLogged, Judgement | None]:
    """The trace with its judgement; answers of a known task are in their one form."""
    if model is None:
        return trace, judge_by_reference(trace.output, trace.reference)
    task = behaviour(model.task)
    known = trace.model_copy(
        update={
            "output": task.canonical(trace.output, trace.input),
            "reference": trace.reference and task.canonical(trace.reference, trace.input),
        }
    )
    return known, judge_by_reference(
        known.output, known.reference, is_right=task.is_right, compares=task.compares
    )


def _judge(given: FeedbackGiven, trace: StoredTrace, model: DeployedModel | None) -> Judgement:
    _check_feedback(given, trace, model)
    if model is None:
        return from_feedback(
            trace.output,
            given.verdict,
            given.corrected_output,
            human=given.human,
            reason=given.reason,
        )
    task, corrected = behaviour(model.task), given.corrected_output
    return from_feedback(
        task.canonical(trace.output, trace.text),
        given.verdict,
        corrected and task.canonical(corrected, trace.text),
        human=given.human,
        reason=given.reason,
        is_right=task.is_right,
        compares=task.compares,
    )


def _check_feedback(given: FeedbackGiven, trace: StoredTrace, model: DeployedModel | None) -> None:
    if given.model != trace.model:
        raise BadInput(
            f"feedback names model {given.model!r}, "
            f"but trace {given.trace_id!r} is of {trace.model!r}"
        )
    if model and given.corrected_output is not None:
        _check_answer(given.corrected_output, "corrected_output", model, trace.text)


def _check_answer(answer: str, name: str, model: DeployedModel, text: str) -> None:
    if objection := behaviour(model.task).objection(answer, model.task, text):
        raise BadInput(
            f"{name} {objection} (model {model.name!r}): "
            "correct it, or register a model that knows this answer"
        )
