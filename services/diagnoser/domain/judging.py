"""Verdicts of traces: from a reference, from feedback, and which of two judgements stands."""

import operator
from collections.abc import Callable

from shared.domain.traces import Judgement, Verdict, VerdictSource
from shared.errors import BadInput

Judge = Callable[[str, str], bool]


def judge_by_reference(
    output: str, reference: str | None, *, is_right: Judge = operator.eq, compares: bool = True
) -> Judgement | None:
    """``is_right(output, reference)``, stripped; None when there is no reference to judge by.

    Without ``compares`` another answer may be right as well: it is not judged.
    """
    right = (reference or "").strip()
    if not right:
        return None
    answer = output.strip()
    if is_right(answer, right):
        return Judgement(Verdict.PASS, VerdictSource.EXACT_MATCH, right, "matches the reference")
    if not compares:
        return None
    return Judgement(
        Verdict.FAIL,
        VerdictSource.EXACT_MATCH,
        right,
        f"answered {answer!r}, the reference says {right!r}",
    )


def from_feedback(
    output: str,
    verdict: Verdict,
    corrected: str | None,
    *,
    human: bool,
    reason: str = "",
    is_right: Judge = operator.eq,
    compares: bool = True,
) -> Judgement:
    """The judgement that feedback on a trace with this output gives.

    A failure without a correction keeps ``corrected`` None: it counts, but nothing can be learnt
    from it. Raises BadInput when verdict and correction contradict each other; without
    ``compares`` a pass may come with another right answer, which is then the one that stands.
    """
    source = VerdictSource.HUMAN if human else VerdictSource.FEEDBACK
    answer, right = output.strip(), (corrected or "").strip() or None
    same = right is not None and is_right(answer, right)
    if verdict is Verdict.PASS:
        if right is not None and not same and compares:
            raise BadInput(f"feedback passes {answer!r} but corrects it to {right!r}: send fail")
        stands = answer if compares or right is None else right
        return Judgement(verdict, source, stands, reason or f"confirmed by {source}")
    if same:
        raise BadInput(f"feedback fails {answer!r} but corrects it to the same: send pass")
    return Judgement(verdict, source, right, reason or f"rejected by {source}")


def supersede(current: Judgement | None, new: Judgement) -> Judgement:
    """The judgement that stands: the stronger source; of equal ones the new one (paper §1)."""
    if current is not None and current.source.strength > new.source.strength:
        return current
    return new
