"""What the deployed model's answers to probes say of each pattern (paper §2.6 step 3).

A pattern is confirmed when the probes fail oftener than ordinary requests of its label would by
chance, and spurious when they fail more seldom than a real weakness would. Both are one-sided exact
binomial tests; between them it stays untested, and is treated as the failures say.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import binom

from services.diagnoser.domain.probes import Probe
from shared.domain.patterns import ErrorPattern, Standing
from shared.domain.traces import JudgedTrace

# A weakness worth training for fails on at least this share of the inputs made to trigger it.
REAL_WEAKNESS = 0.35
_DOUBT = 0.05
# No model is so good that one wrong probe of twelve would prove a weakness, nor so bad at a label
# that only a probe set failing throughout could.
_LEAST_USUAL, _MOST_USUAL = 0.05, 0.25


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One pattern: ``failed`` of ``asked`` probes got a wrong answer; ``reason`` in words."""

    pattern: str
    standing: Standing
    asked: int
    failed: int
    reason: str


def confirm(
    patterns: Sequence[ErrorPattern],
    probes: Sequence[Probe],
    outputs: Mapping[str, str],
    *,
    usual_errors: Mapping[str, float] | None = None,
) -> tuple[Confirmation, ...]:
    """One confirmation for each pattern, in their order.

    ``outputs`` maps probe ids to the deployed model's answers; a probe without one was not asked.
    ``usual_errors``: share of each label's traffic that fails, as ``error_rates`` gives it.
    """
    asked = Counter(p.pattern for p in probes if p.id in outputs)
    failed = Counter(p.pattern for p in probes if outputs.get(p.id, p.target) != p.target)
    usual = usual_errors or {}
    return tuple(
        _confirmation(p, asked[p.id], failed[p.id], usual.get(p.expected, _LEAST_USUAL))
        for p in patterns
    )


def error_rates(
    failures: Sequence[JudgedTrace],
    passes: Sequence[JudgedTrace],
    *,
    each_pass_is: float = 1.0,
) -> dict[str, float]:
    """Share of each label's judged traces that fail; a pass of a sample stands for several."""
    wrong = Counter(trace.corrected for trace in failures)
    right = Counter(trace.corrected for trace in passes)
    return {
        label: wrong[label] / (wrong[label] + each_pass_is * right[label])
        for label in wrong | right
    }


def _confirmation(pattern: ErrorPattern, asked: int, failed: int, usual: float) -> Confirmation:
    usual = min(max(usual, _LEAST_USUAL), _MOST_USUAL)
    by_chance = float(binom.sf(failed - 1, asked, usual)) if asked else 1.0
    if_real = float(binom.cdf(failed, asked, REAL_WEAKNESS)) if asked else 1.0
    said = f"{failed} of {asked} probes fail"
    if not asked:
        standing, reason = Standing.UNTESTED, "no probe was asked"
    elif by_chance <= _DOUBT:
        standing = Standing.CONFIRMED
        reason = f"{said}; by chance, at {usual:.0%} errors, so many would with p = {by_chance:.2g}"
    elif if_real <= _DOUBT:
        standing = Standing.SPURIOUS
        reason = f"{said}; of a weakness that shows in {REAL_WEAKNESS:.0%} so few would with p = "
        reason += f"{if_real:.2g}"
    else:
        standing, reason = Standing.UNTESTED, f"{said}: too few probes to tell"
    return Confirmation(pattern.id, standing, asked, failed, reason)
