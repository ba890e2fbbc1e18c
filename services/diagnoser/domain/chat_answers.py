"""What a chat model may answer the diagnoser, and what that means."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.domain.chat import Answer, Remark, tidy
from shared.domain.traces import Judgement, Verdict, VerdictSource
from shared.domain.triage import Evidence, Family, TriageKind, kind_of
from shared.domain.written import WrittenRow

CLEAN = "clean"
SIGNAL = "chat model"
_NAME_SIGNS = 60


class JudgeAnswer(Answer):
    """A verdict on one answer; ``answer`` is the right label, if the judge knows it."""

    verdict: Literal["pass", "fail", "abstain"]
    answer: str | None
    reason: Remark

    def on(self, output: str) -> Verdict | None:
        """The verdict on this output; None for an abstention.

        So is a verdict that contradicts the answer given with it: nobody knows which was meant.
        """
        if self.verdict == "abstain":
            return None
        same = self.answer is None or self.answer == output.strip()
        contradicts = self.answer is not None and same != (self.verdict == "pass")
        return None if contradicts else Verdict(self.verdict)

    def judgement(self, output: str, source: VerdictSource) -> Judgement | None:
        """As a judgement of a trace with this output; None for an abstention."""
        verdict = self.on(output)
        if verdict is None:
            return None
        corrected = output.strip() if verdict is Verdict.PASS else self.answer
        return Judgement(verdict, source, corrected, self.reason)


class TriageAnswer(Answer):
    """The family a row belongs to, or CLEAN, and how sure that is."""

    family: str
    confidence: Annotated[float, Field(ge=0, le=1)]
    reason: Remark


class NameAnswer(Answer):
    """A short name for what goes wrong."""

    name: Annotated[str, Field(min_length=1), AfterValidator(lambda name: tidy(name, _NAME_SIGNS))]


class ProbesAnswer(Answer):
    """Inputs that should trigger a weakness, each with its right label."""

    probes: Annotated[tuple[WrittenRow, ...], Field(max_length=50)]


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What a chat model says of a row; ``family`` is None for a clean one."""

    kind: TriageKind
    family: Family | None
    confidence: float
    reason: str

    @classmethod
    def of(cls, answer: TriageAnswer) -> "SecondOpinion":
        family = None if answer.family == CLEAN else Family(answer.family)
        kind = TriageKind.FIXABLE if family is None else kind_of(family)
        return cls(kind, family, answer.confidence, answer.reason)

    def evidence(self) -> tuple[Evidence, ...]:
        """As evidence for the ensemble; none of a clean row."""
        if self.family is None:
            return ()
        return (Evidence(SIGNAL, self.family, self.confidence, self.reason),)
