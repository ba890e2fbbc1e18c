"""Whether training is the remedy at all (paper §2.6, §5.2.3: the cheapest remedy first)."""

from shared.domain.patterns import left_to_people
from shared.events import FailuresDiagnosed

# So many failures to learn from are worth a run, however many references are wrong beside them.
WORTH = 5


def why_not_train(event: FailuresDiagnosed, *, worth: int = WORTH) -> str | None:
    """What to do instead of training, in words, or None when a run is worth its cost.

    Not worth it: nothing may be learned, nothing is left to measure with, or what only people can
    mend leaves fewer than ``worth`` failures to learn from. A calibration does not close a run:
    until somebody serves it the failures go on, and training mends them too.
    """
    honest = event.failures - event.quarantined
    covered = left_to_people(event.remedies)
    if event.repair < 1:
        why = f"none of {event.failures} failures may be learned from"
    elif event.heldout < 1:
        why = f"none of {event.failures} failures can be held out to measure an improvement"
    elif covered > 0 and min(honest - covered, event.repair + event.heldout) < worth:
        why = f"remedies for people to apply cover {covered} of {honest} failures"
    else:
        return None
    return "; ".join([f"do not train: {why}", *_instead(event)])


def _instead(event: FailuresDiagnosed) -> list[str]:
    instead = [
        f"{remedy.kind.value.replace('_', ' ')} ({remedy.failures}): {remedy.reason}"
        for remedy in event.remedies
        if not remedy.kind.trains
    ]
    if event.quarantined:
        instead.append(
            f"{event.quarantined} quarantined as poison: a person can release what is none"
        )
    return instead or ["collect more failures before a run"]
