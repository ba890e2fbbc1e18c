"""Who said what about a trace: one opinion for each voice, however often it is repeated."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.ids import derive_id
from shared.domain.traces import MAX_OPINIONS, MAX_VOTES, Judgement, Opinion, VerdictSource


@dataclass(frozen=True, slots=True)
class NotedOpinion:
    """An opinion to be kept with its trace. ``id`` is the same for what is the same word."""

    id: str
    trace_id: str
    opinion: Opinion


@dataclass(frozen=True, slots=True)
class HeardOpinion:
    """An opinion, and when it was heard first."""

    opinion: Opinion
    at: datetime


def opinions_in_feedback(
    feedback_id: str,
    trace_id: str,
    judgement: Judgement,
    *,
    corrector: str | None,
    standing: Judgement | None,
) -> list[NotedOpinion]:
    """What feedback says of the right output, and the reference it may supersede.

    A failure without a correction names no answer, so it is no opinion. A signed word is known by
    its feedback, so that a corrector may change it; unsigned ones cannot be told apart, so the
    same answer counts once.
    """
    found: list[NotedOpinion] = []
    if standing and standing.source is VerdictSource.EXACT_MATCH and standing.corrected:
        reference = Opinion(standing.corrected, standing.source)
        found.append(NotedOpinion(_unsigned_id(trace_id, reference), trace_id, reference))
    if judgement.corrected:
        given = Opinion(judgement.corrected, judgement.source, corrector)
        signed = derive_id("opinion", trace_id, "feedback", feedback_id)
        key = signed if corrector else _unsigned_id(trace_id, given)
        found.append(NotedOpinion(key, trace_id, given))
    return found


def voices(heard: Iterable[HeardOpinion]) -> tuple[Opinion, ...]:
    """One opinion for each voice, strongest first: the last word of a corrector who signed.

    At most ``MAX_VOTES``.
    """
    last: dict[tuple[str, ...], Opinion] = {}
    for one in sorted(heard, key=lambda h: h.at):
        opinion = one.opinion
        voice = opinion.corrector and (opinion.source.value, opinion.corrector)
        last[voice or (opinion.source.value, "", opinion.answer)] = opinion
    strongest_first = sorted(
        last.values(), key=lambda o: (-o.source.strength, o.answer, o.corrector or "")
    )
    return tuple(strongest_first[:MAX_VOTES])


def answers(standing: str | None, votes: Sequence[Opinion]) -> tuple[str, ...]:
    """The distinct answers: the standing one, then the strongest and most voiced."""
    strength: dict[str, int] = {}
    for vote in votes:
        strength[vote.answer] = max(vote.source.strength, strength.get(vote.answer, 0))
    counts = Counter(vote.answer for vote in votes)
    ordered = sorted(
        counts, key=lambda answer: (answer != standing, -strength[answer], -counts[answer], answer)
    )
    if standing is not None and standing not in counts:
        ordered.insert(0, standing)
    return tuple(ordered[:MAX_OPINIONS])


def _unsigned_id(trace_id: str, opinion: Opinion) -> str:
    return derive_id("opinion", trace_id, opinion.source.value, opinion.answer)
