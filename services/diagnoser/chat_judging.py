"""A chat model judges what nobody else did, a part at a time."""

import logging
from collections import Counter
from itertools import islice

from services.diagnoser.chat import ChatAdvice
from services.diagnoser.domain.signals import phrasing
from services.diagnoser.models import KnownModels
from services.diagnoser.ports import TraceStore
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel
from shared.domain.traces import UnjudgedTrace, VerdictSource
from shared.domain.triage import Family
from shared.logs import log_context
from shared.ports import Clock
from shared.tasks import behaviour

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0

_ORDERS = frozenset({Family.PROMPT_INJECTION, Family.JAILBREAK})
# What was asked about before and stays without a verdict must not hide the rest.
_NEWEST = 2_000
_TRIES = 3


class ChatJudging:
    """Judges the newest traces of what is deployed that nobody judged, ``most`` in a step.

    Not those that give orders: fenced as they are, nothing is gained by showing them to a judge.
    Any other source supersedes a verdict of the chat model.
    """

    def __init__(
        self,
        traces: TraceStore,
        models: KnownModels,
        advice: ChatAdvice,
        clock: Clock,
        *,
        most: int,
    ) -> None:
        self._traces = traces
        self._models = models
        self._advice = advice
        self._clock = clock
        self._most = most
        # By model and trace, how often a verdict was asked for in vain; _TRIES and no more.
        self._vain: dict[str, Counter[str]] = {}

    async def step(self) -> None:
        """One part for each known model. Raises TransientError."""
        for view in await self._models.all():
            with log_context(model=view.deployed.name):
                await self._judge(view.deployed)

    async def _judge(self, deployed: DeployedModel) -> None:
        if not behaviour(deployed.task).answers_are_labels:
            # The question speaks of labels.
            return
        name, number = deployed.name, deployed.version.number
        newest = await self._traces.unjudged(name, number, _NEWEST)
        before = self._vain.get(name, Counter())
        vain = self._vain[name] = Counter({t.id: before[t.id] for t in newest if t.id in before})
        asked = list(islice((t for t in newest if _worth_asking(t, vain)), self._most))
        if not asked:
            return
        now = self._clock()
        day = derive_id("judge", name, number, f"{now:%Y-%m-%d}")
        answers = await self._advice.judge_traces(asked, deployed.task, run_id=day)
        judgements = {
            trace.id: judgement
            for trace in asked
            if trace.id in answers
            and (judgement := answers[trace.id].judgement(trace.output, VerdictSource.CHAT))
        }
        await self._traces.judge(judgements, now)
        vain.update(dict.fromkeys(answers.keys() - judgements.keys(), _TRIES))
        if answers:
            # No answer at all, for want of a server or of budget, would say nothing of a trace.
            vain.update(trace.id for trace in asked if trace.id not in answers)
        logger.info("the chat model judged %d of %d traces", len(judgements), len(asked))


def _worth_asking(trace: UnjudgedTrace, vain: Counter[str]) -> bool:
    if vain[trace.id] < _TRIES and any(
        hit.family in _ORDERS for hit in phrasing.find(trace.text).values()
    ):
        vain[trace.id] = _TRIES
    return vain[trace.id] < _TRIES
