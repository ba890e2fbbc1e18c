"""How far a chat model's verdicts can be trusted: compared with people's on the same traces.

Abstentions are counted apart and enter neither agreement nor kappa.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from shared.domain.traces import Verdict

# Two-sided 95 %.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Compared:
    """One trace: a person's verdict and the judge's, with the right outputs they named.

    ``judge`` is None for an abstention.
    """

    human: Verdict
    judge: Verdict | None
    human_answer: str | None = None
    judge_answer: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Audit:
    """What the comparison showed. Counts are human verdict, then judge's; estimates may be None.

    ``answers_same`` of ``answers_both``: failures for both, where both named a right output.
    """

    pass_pass: int
    pass_fail: int
    fail_pass: int
    fail_fail: int
    abstained: int
    agreement: Estimate | None
    kappa: Estimate | None
    answers_both: int
    answers_same: int

    @property
    def judged(self) -> int:
        """Traces with a verdict of both."""
        return self.pass_pass + self.pass_fail + self.fail_pass + self.fail_fail

    @property
    def abstention(self) -> float:
        """The share of abstentions, 0 to 1; 0 of nothing."""
        return self.abstained / max(1, self.judged + self.abstained)


def audit(compared: Sequence[Compared]) -> Audit:
    """Agreement (Wilson interval), Cohen's kappa, abstentions.

    The interval of kappa takes the chance agreement as given, as Cohen (1960) did, and the Wilson
    limits of the agreement, so that it keeps its width when all agree. Kappa is None when one
    verdict is all that either side gave: then chance explains everything.
    """
    cells = Counter((pair.human, pair.judge) for pair in compared)
    passes, fails = Verdict.PASS, Verdict.FAIL
    pp, pf = cells[passes, passes], cells[passes, fails]
    fp, ff = cells[fails, passes], cells[fails, fails]
    agreement = _wilson(pp + ff, pp + pf + fp + ff)
    named = [
        pair.human_answer == pair.judge_answer
        for pair in compared
        if pair.human is fails and pair.judge is fails and pair.human_answer and pair.judge_answer
    ]
    return Audit(
        pass_pass=pp,
        pass_fail=pf,
        fail_pass=fp,
        fail_fail=ff,
        abstained=cells[passes, None] + cells[fails, None],
        agreement=agreement,
        kappa=agreement and _kappa(agreement, pp, pf, fp, ff),
        answers_both=len(named),
        answers_same=sum(named),
    )


def _wilson(hits: int, of: int) -> Estimate | None:
    """A share with its Wilson score interval."""
    if of == 0:
        return None
    share, squared = hits / of, _Z**2
    middle = (share + squared / (2 * of)) / (1 + squared / of)
    half = _Z / (1 + squared / of) * sqrt(share * (1 - share) / of + squared / (4 * of * of))
    # The limits meet the share at its ends, but for rounding.
    return Estimate(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def _kappa(agreement: Estimate, pp: int, pf: int, fp: int, ff: int) -> Estimate | None:
    of = pp + pf + fp + ff
    chance = ((pp + pf) * (pp + fp) + (fp + ff) * (pf + ff)) / of**2
    if chance >= 1:
        return None

    def beyond_chance(share: float) -> float:
        return (share - chance) / (1 - chance)

    return Estimate(
        beyond_chance(agreement.value),
        max(-1.0, beyond_chance(agreement.low)),
        min(1.0, beyond_chance(agreement.high)),
    )
