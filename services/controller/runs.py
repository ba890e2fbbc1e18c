"""Runs through their life: begun by a diagnosis, moved by verdicts, ended once.

Each step is one write of the run with the events it causes. A step that touches the registry too
does that first, under the run's id as cause: done twice, it has the effect of once.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

from services.controller.advising import Advice
from services.controller.domain import cold_start, policy, remedy
from services.controller.domain import run as run_domain
from services.controller.domain.budget import Budget
from services.controller.domain.decision import Decision, Iterate, Promote, Stop
from services.controller.domain.grounds import grounds_for
from services.controller.domain.moves import RecipeGrid
from services.controller.domain.registry import ModelRecord, deployed
from services.controller.domain.rules import Rules
from services.controller.domain.run import Advanced, Ignored, Run
from services.controller.domain.search import SearchPolicy
from services.controller.domain.states import Failed, Iterating, NotPromoted, Promoted
from services.controller.leases import Leases
from services.controller.ledger import Entry, Ledger
from services.controller.messages import iteration_requested, run_closed
from services.controller.promotions import Promotions
from shared.domain.evaluation import Limits
from shared.domain.ids import derive_id
from shared.errors import DEFECTS, Conflict, PermanentError, UnknownThing
from shared.events import (
    CandidatesVerified,
    CandidateVerdict,
    FailuresDiagnosed,
    StepFailed,
    TaskPrepared,
)
from shared.logs import log_context
from shared.ports import Clock

logger = logging.getLogger(__name__)


class Runs:
    """All runs of all models."""

    def __init__(
        self,
        runs: Ledger[Run],
        models: Ledger[ModelRecord],
        leases: Leases,
        clock: Clock,
        *,
        limits: Limits,
        budget: Budget,
        search: SearchPolicy = policy.SEARCH,
        recipes: RecipeGrid = policy.RECIPES,
        least_failures: int = remedy.WORTH,
        advice: Advice | None = None,
    ) -> None:
        self._runs = runs
        self._models = models
        self._promotions = Promotions(models, clock)
        self._leases = leases
        self._clock = clock
        self._limits = limits
        self._budget = budget
        self._recipes = recipes
        self._rules = Rules(limits, budget, search, recipes)
        self._least_failures = least_failures
        self._advice = advice
        self._left_due: set[tuple[str, int]] = set()

    async def begin(self, event: FailuresDiagnosed) -> None:
        """Start a run for a diagnosis, or decline it with a reason. Raises UnknownThing."""
        run_id = derive_id("run", event.id)
        if await self.repeat(run_id):
            return
        record = await self._promotions.record(event.model)
        parent = deployed(record.state)
        now = self._clock()
        holder = await self._holder(event.model, run_id)
        if holder != run_id:
            reason = f"run {holder} is active for model {event.model!r}"
            run = run_domain.decline(event, parent, reason, now)
        elif why := remedy.why_not_train(event, worth=self._least_failures):
            run = run_domain.leave_untrained(event, parent, why, now)
        else:
            plan = policy.first_plan(
                parent,
                failures=event.failures,
                repair=event.repair,
                material=event.material,
                patterns=event.patterns,
                recipes=self._recipes,
            )
            run = run_domain.begin(event, parent, plan, now)
        run = replace(run, hour_price=self._budget.hour_price)
        match run.state:
            case Iterating():
                await self._runs.create(run.id, run, [iteration_requested(run, run.state)])
            case ended:
                logger.warning("run %s ends as %s: %s", run.id, ended.kind, ended.reason)
                await self._runs.create(run.id, run, [run_closed(run, ended, now)])
                await self._leases.give_back(run.model, run.id)

    async def begin_first(self, event: TaskPrepared) -> str | None:
        """Start the run of a cold start; why it cannot begin, in words, or None."""
        if await self.repeat(event.run_id):
            return None
        if await self._models.get(event.model):
            return (
                f"model {event.model!r} exists: give another name, or improve it with: "
                f"pioneer improve {event.model}"
            )
        holder = await self._holder(event.model, event.run_id)
        if holder != event.run_id:
            return f"run {holder} is active for model {event.model!r}: wait for its end"
        plan = cold_start.first_plan(event, recipes=self._recipes)
        run = cold_start.begin(event, plan, self._clock())
        run = replace(run, hour_price=self._budget.hour_price)
        if isinstance(run.state, Iterating):
            await self._runs.create(run.id, run, [iteration_requested(run, run.state)])
        return None

    async def repeat(self, run_id: str) -> bool:
        """Answer for a run that began: whoever asks again may have missed how it ended.

        False where there is no such run.
        """
        entry = await self._runs.get(run_id)
        if entry is None:
            return False
        run = entry.state
        if isinstance(run.state, Iterating) or entry.outbox:
            await self._runs.flush(run.id)
        else:
            await self._runs.change(entry, run, [run_closed(run, run.state, self._clock())])
        return True

    async def verified(self, event: CandidatesVerified) -> None:
        """Record an iteration's verdicts and go on as the policy decides. Raises UnknownThing."""
        entry = await self._run(event.run_id)
        verdicts = tuple(self._doubted(verdict) for verdict in event.verdicts)
        event = event.model_copy(update={"verdicts": verdicts})
        match run_domain.record_verdicts(entry.state, event, self._clock()):
            case Advanced(run):
                await self._runs.change(entry, run, [])
            case Ignored(run, reason):
                logger.info("verdicts ignored: %s", reason)
        if run.decision_due:
            await self._decide(await self._run(event.run_id))
        else:
            await self._runs.flush(run.id)

    async def step_failed(self, event: StepFailed) -> None:
        """End the run: with what earlier iterations earned, or as failed. Raises UnknownThing."""
        entry = await self._run(event.run_id)
        if late := run_domain.why_late(entry.state, event):
            logger.info("failed step ignored: %s", late)
            await self._runs.flush(entry.id)
            return
        why = f"iteration {event.iteration} could not {event.step}: {event.reason}"
        match policy.settle(entry.state, why):
            case Promote() as promote:
                await self._promote(entry, promote)
            case Stop():
                await self._close(entry, Failed(why, self._clock()))

    async def decide_left(self) -> None:
        """Decide what is due and no handler decided: a chat model is asked first, if there is one.

        What is seen for the first time is most likely being decided by its own handler now. A
        handler must not take as long as an answer may.
        """
        seen: set[tuple[str, int]] = set()
        late: list[Entry[Run]] = []
        for run_id in await self._leases.held():
            entry = await self._runs.get(run_id)
            if entry is None or not entry.state.decision_due:
                continue
            due = (run_id, entry.version)
            if due in self._left_due:
                late.append(entry)
            else:
                seen.add(due)
        # Together: a chat server that is silent to one run must not hold up the others.
        await asyncio.gather(*map(self._decide_late, late))
        self._left_due = seen

    async def enforce_budgets(self) -> None:
        """End runs whose minutes are over, whatever their iteration is waiting for."""
        for run_id in await self._leases.held():
            entry = await self._runs.get(run_id)
            if entry is None or not isinstance(entry.state.state, Iterating):
                continue
            if self._clock() - entry.state.started_at > timedelta(minutes=self._budget.minutes):
                with log_context(model=entry.state.model, run_id=run_id):
                    await self._settle(entry, f"all {self._budget.minutes:g} minutes are used")

    async def flush(self) -> None:
        """Publish what a process that died left unpublished."""
        try:
            await self._runs.flush_abandoned()
            await self._models.flush_abandoned()
        except Conflict:
            logger.info("an entry was changed meanwhile, flushing again later")

    def _doubted(self, verdict: CandidateVerdict) -> CandidateVerdict:
        """The gate again, at the door: an admission that breaks our ε is none."""
        report = verdict.report
        if verdict.outcome != "admitted" or report is None:
            return verdict
        broken = self._limits.broken(report)
        if not broken:
            return verdict
        reason = (
            f"admitted by the verifier with {report.regressions} regressions, too many here for "
            f"{' and '.join(broken)}, where ε = {self._limits.epsilon}"
        )
        return verdict.model_copy(update={"outcome": "regressed", "reason": reason})

    async def _decide(self, entry: Entry[Run]) -> None:
        """As the rules say; where a chat model is asked too, that is left to its loop."""
        run, now = entry.state, self._clock()
        decision = self._rules.decide(run, now)
        if self._advice and grounds_for(run, decision, self._rules, now):
            logger.info("the chat model is asked, the rules would %s", decision.reason)
            return
        await self._act(entry, decision)

    async def _decide_late(self, entry: Entry[Run]) -> None:
        """One run's trouble is its own: the others go on."""
        with log_context(model=entry.state.model, run_id=entry.id):
            try:
                await self._decide_advised(entry)
            except Conflict:
                logger.info("the run was changed meanwhile, looking again later")
            except (PermanentError, *DEFECTS):
                logger.exception("run %s cannot be decided", entry.id)

    async def _decide_advised(self, entry: Entry[Run]) -> None:
        run, now = entry.state, self._clock()
        decision = self._rules.decide(run, now)
        grounds = grounds_for(run, decision, self._rules, now)
        if self._advice and grounds:
            decision = await self._advice.heard(grounds)
        await self._act(entry, decision)

    async def _act(self, entry: Entry[Run], decision: Decision) -> None:
        logger.info("%s: %s", type(decision).__name__, decision.reason)
        match decision:
            case Iterate():
                moved = run_domain.iterate(entry.state, decision).run
                if isinstance(moved.state, Iterating):
                    await self._runs.change(entry, moved, [iteration_requested(moved, moved.state)])
            case Promote():
                await self._promote(entry, decision)
            case Stop(reason):
                await self._close(entry, NotPromoted(reason, self._clock()))

    async def _settle(self, entry: Entry[Run], why: str) -> None:
        match policy.settle(entry.state, why):
            case Promote() as promote:
                await self._promote(entry, promote)
            case Stop(reason):
                await self._close(entry, NotPromoted(reason, self._clock()))

    async def _promote(self, entry: Entry[Run], promote: Promote) -> None:
        run = entry.state
        record = await self._promotions.promote(run, promote)
        if isinstance(record, str):
            await self._close(entry, NotPromoted(record, self._clock()))
            return
        # What the registry holds is what was promoted, also when another process decided first.
        number = next(d.version for d in record.deployments if d.cause == run.id)
        adapter = next(v.adapter for v in record.versions if v.number == number)
        promoted = next(a.candidate for a in run.admitted if a.candidate.adapter == adapter)
        await self._close(entry, Promoted(promoted.id, number, promote.reason, self._clock()))

    async def _close(self, entry: Entry[Run], ending: Promoted | NotPromoted | Failed) -> None:
        run = run_domain.close(entry.state, ending).run
        logger.info("run ends as %s: %s", ending.kind, ending.reason)
        await self._runs.change(entry, run, [run_closed(run, ending, self._clock())])
        await self._leases.give_back(run.model, run.id)

    async def _holder(self, model: str, run_id: str) -> str:
        holder = await self._leases.take(model, run_id)
        if holder == run_id:
            return run_id
        entry = await self._runs.get(holder)
        if entry and isinstance(entry.state.state, Iterating):
            return holder
        # Its process died before the run was stored, or after it ended. One model's diagnoses come
        # in order from one partition, so nobody is creating that run right now.
        await self._leases.give_back(model, holder)
        return await self._leases.take(model, run_id)

    async def _run(self, run_id: str) -> Entry[Run]:
        entry = await self._runs.get(run_id)
        if entry is None:
            raise UnknownThing(f"run {run_id!r} is unknown to this controller")
        return entry
