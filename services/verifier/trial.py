"""Candidates on trial: what each said of the evaluation rows, and the gate's verdict of it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from services.verifier.domain.evaluation import EvaluationSets, Grades, evaluate
from services.verifier.domain.first import as_first, commonest_answers, judge_first
from services.verifier.domain.gates import judge
from services.verifier.domain.threshold import best_threshold, outputs_at
from services.verifier.predictions import Outputs, Said
from shared.domain.evaluation import Limits, Regressed, TypeReport, Unusable, Verdict
from shared.domain.ids import derive_id
from shared.domain.rows import EvalRow
from shared.domain.tasks import Head
from shared.events import Candidate, CandidatesTrained
from shared.tasks import behaviour

DEPLOYED = "deployed"


@dataclass(frozen=True, slots=True)
class Trial:
    """``said`` by model id, the deployed model's under ``deployed``; ``broken``: why one said none.

    ``limits`` are the gate's. ``grades``: which answers are right, where comparing does not tell.
    """

    event: CandidatesTrained
    sets: EvaluationSets
    said: Mapping[str, Said]
    broken: Mapping[str, str]
    limits: Limits
    grades: Grades | None = None

    def judged_by(self, grades: Grades, ungraded: Collection[str]) -> "Trial":
        """The trial by these grades; rows to which an answer has none count for nobody."""
        if not ungraded:
            return replace(self, grades=grades)
        told = f"{len(ungraded)} rows are left out: the chat model did not grade all answers"
        return replace(
            self,
            sets=self.sets.without(ungraded),
            said={k: replace(one, vouched=(*one.vouched, told)) for k, one in self.said.items()},
            grades=grades,
        )

    def verdicts(self) -> Iterator[tuple[Candidate, Verdict]]:
        """Each candidate with its verdict; those that name entities at their best threshold.

        So is the deployed model, where another threshold changes what it says.
        """
        for candidate in self.event.candidates:
            reason = self._unusable(candidate)
            if reason is not None:
                yield candidate, Unusable(candidate.id, reason)
            else:
                yield self._judged(*self._swept(candidate, self._heard(candidate)))
        calibrated = self._calibrated()
        if calibrated is not None:
            yield self._judged(*calibrated)

    @property
    def _rows(self) -> list[EvalRow]:
        return [*self.sets.current, *(row for rows in self.sets.earlier.values() for row in rows)]

    @property
    def _sweeps(self) -> bool:
        return behaviour(self.event.deployed.task).head is Head.WORDS

    def _is_right(self, output: str, target: str) -> bool:
        return behaviour(self.event.deployed.task).is_right(output, target)

    def _twin(self, candidate: Candidate) -> Candidate | None:
        alike = (t for t in self.event.twins if t.recipe.digest == candidate.recipe.digest)
        return next(alike, None)

    def _unusable(self, candidate: Candidate) -> str | None:
        twin = self._twin(candidate)
        for model in (candidate, twin):
            if model and model.id in self.broken:
                return self.broken[model.id]
        if self.event.twins and twin is None:
            return "it learned what was held out, and no twin was measured without them"
        return None

    def _heard(self, candidate: Candidate) -> Said:
        own, twin = self.said.get(candidate.id, Said({}, {})), self._twin(candidate)
        if twin is None:
            return own
        held = {row.id for row in self.sets.current if not row.guarded}
        return own.with_twin(self.said.get(twin.id, Said({}, {})), twin.id, held)

    def _verdict(
        self, candidate: Candidate, said: Said, *, types: tuple[TypeReport, ...] = ()
    ) -> Verdict:
        report = evaluate(
            candidate.id,
            self.sets,
            said.outputs,
            self._before(),
            limits=self.limits,
            is_right=self._is_right,
            grades=self.grades,
        )
        report = replace(report, warnings=(*report.warnings, *said.vouched), types=types)
        if self.event.deployed.trained:
            return judge(report, self.limits)
        return judge_first(as_first(report))

    def _types(self, outputs: Outputs) -> tuple[TypeReport, ...]:
        answers = ((outputs.get(row.id, ""), row.target) for row in self.sets.current)
        found = behaviour(self.event.deployed.task).by_type(answers)
        return tuple(TypeReport(name, hits) for name, hits in found.items())

    def _before(self) -> Outputs | None:
        """What the deployed model said; of a first version, what one answer to all would say.

        That one answer is not graded where comparing does not tell: it would be wrong.
        """
        if not self.event.deployed.trained:
            return commonest_answers(self.sets.current) if self.grades is None else None
        before = self.said.get(DEPLOYED)
        return before.outputs if before else None

    def _judged(self, candidate: Candidate, said: Said) -> tuple[Candidate, Verdict]:
        return candidate, self._verdict(candidate, said, types=self._types(said.outputs))

    def _swept(self, candidate: Candidate, said: Said) -> tuple[Candidate, Said]:
        """A candidate that names entities at the threshold that serves traffic best.

        One that left a row unanswered stays as it is: the gate must hear of that row.
        """
        rows = self._rows
        if not self._sweeps or any(row.id not in said.seen for row in rows):
            return candidate, said

        def at(threshold: float) -> Said:
            return replace(said, outputs=outputs_at(said.seen, rows, threshold))

        def keeps(threshold: float) -> bool:
            return not isinstance(self._verdict(candidate, at(threshold)), Regressed)

        best = best_threshold(said.seen, self.sets.current, is_right=self._is_right, keeps=keeps)
        return candidate.model_copy(update={"threshold": best}), at(best)

    def _calibrated(self) -> tuple[Candidate, Said] | None:
        deployed = self.said.get(DEPLOYED)
        if not self._sweeps or deployed is None or not self.event.candidates:
            return None
        candidate = self.event.candidates[0].model_copy(
            update={
                "id": derive_id("calibrated", self.event.run_id, self.event.iteration),
                "adapter": self.event.deployed.version.adapter,
                "train_seconds": 0.0,
                "calibrated": True,
            }
        )
        swept, said = self._swept(candidate, deployed)
        told = deployed.outputs.items()
        same = all(self._is_right(said.outputs[row], output) for row, output in told)
        return None if same else (swept, said)
