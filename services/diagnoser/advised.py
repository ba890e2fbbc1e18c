"""Findings with a chat model's advice; without one, those of the signals alone."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.diagnoser.chat import ChatAdvice
from services.diagnoser.domain.chat_prompts import CorrectedRow
from services.diagnoser.domain.findings import Findings, SplitPolicy, diagnose
from services.diagnoser.domain.probes import can_be_probed, with_written
from services.diagnoser.domain.second_opinions import doubtful, heed
from services.diagnoser.domain.traffic import Traffic
from services.diagnoser.domain.triage import Triaged, triage
from shared.domain.tasks import Task
from shared.tasks import behaviour

logger = logging.getLogger(__name__)

# Nobody reads more; patterns come the largest first.
_PATTERNS = 20


@dataclass(frozen=True, slots=True)
class AdvicePolicy:
    """How many failures a second opinion is asked on, and probes are written for a pattern."""

    second_opinions: int = 30
    written_probes: int = 4


class AdvisedFindings:
    """Diagnoses traffic: signals decide, and where there is a chat model it is heard."""

    def __init__(self, advice: ChatAdvice, splits: SplitPolicy, policy: AdvicePolicy) -> None:
        self._advice = advice
        self._splits = splits
        self._policy = policy

    async def diagnose(
        self, traffic: Traffic, task: Task, *, measured: Sequence[str], run_id: str
    ) -> Findings:
        """All that is found in the traffic; ``measured`` are texts of earlier evaluation sets.

        ``run_id`` names whose budget pays. Raises TransientError when the ledger is away.
        """
        triaged = None
        of_labels = behaviour(task).answers_are_labels
        if self._advice.available and of_labels:
            traffic = await asyncio.to_thread(traffic.in_order)
            triaged = await self._triage(traffic, task, run_id)
        findings = await asyncio.to_thread(
            diagnose, traffic, self._splits, measured=measured, triaged=triaged
        )
        if not self._advice.available:
            return findings
        findings = await self._name(findings, run_id)
        if not of_labels:
            return findings
        return await self._probe(findings, task, measured=measured, run_id=run_id)

    async def _triage(self, traffic: Traffic, task: Task, run_id: str) -> Triaged:
        triaged = await asyncio.to_thread(triage, traffic)
        asked = doubtful(traffic.failures, triaged, most=self._policy.second_opinions)
        rows = [CorrectedRow(t.id, t.text, t.output, t.corrected) for t in asked]
        opinions = await self._advice.second_opinions(rows, task, run_id=run_id)
        heeded = heed(triaged, opinions)
        kept_out = len(asked) - len(heeded.learnable(asked))
        logger.info(
            "second opinions keep %d of %d doubtful rows from training", kept_out, len(asked)
        )
        return heeded

    async def _name(self, findings: Findings, run_id: str) -> Findings:
        names = await self._advice.name_patterns(findings.patterns[:_PATTERNS], run_id=run_id)
        named = (replace(p, name=names.get(p.id, p.name)) for p in findings.patterns)
        return replace(findings, patterns=tuple(named))

    async def _probe(
        self, findings: Findings, task: Task, *, measured: Sequence[str], run_id: str
    ) -> Findings:
        count = self._policy.written_probes
        patterns = [p for p in findings.patterns if can_be_probed(p)][: _PATTERNS if count else 0]
        written = await self._advice.write_probes(
            patterns,
            task,
            run_id=run_id,
            count=count,
            evaluation_texts=[*measured, *findings.measured_texts()],
        )
        return replace(findings, probes=with_written(findings.probes, written))
