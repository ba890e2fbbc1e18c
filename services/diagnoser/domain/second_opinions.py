"""What a chat model's word changes in triage: it may keep a doubtful row from training, no more.

It never lets a row in, so a text that talks the chat model round gains nothing by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.diagnoser.domain.chat_answers import SecondOpinion
from services.diagnoser.domain.triage import Triaged, decide
from shared.domain.traces import JudgedTrace, VerdictSource
from shared.domain.triage import Evidence, TriageKind, TriageVerdict

_SURE = 0.75
# Alone it decides nothing, however sure it is; beside a signal of harm it may.
_WEIGHT = 0.3


def doubtful(failures: Sequence[JudgedTrace], triaged: Triaged, *, most: int) -> list[JudgedTrace]:
    """The failures that would be learned from with the least confidence, below 0.75.

    What a human corrected or released is not doubted.
    """
    asked = [
        failure
        for failure in triaged.learnable(failures)
        if triaged.verdicts[failure.id].confidence < _SURE
        and failure.source is not VerdictSource.HUMAN
        and not failure.released
    ]
    asked.sort(key=lambda failure: (triaged.verdicts[failure.id].confidence, failure.id))
    return asked[:most]


def heed(triaged: Triaged, opinions: Mapping[str, SecondOpinion]) -> Triaged:
    """Triage with the opinions of rows by their ids as weak evidence beside the other signals."""
    decided = {
        row: _decided_again(verdict, opinion)
        for row, opinion in opinions.items()
        if (verdict := triaged.verdicts[row]).kind is TriageKind.FIXABLE
    }
    return replace(triaged, verdicts={**triaged.verdicts, **decided})


def _decided_again(verdict: TriageVerdict, opinion: SecondOpinion) -> TriageVerdict:
    said = [_weak(one, verdict) for one in opinion.evidence()]
    return decide([*verdict.evidence, *said]) if said else verdict


def _weak(said: Evidence, verdict: TriageVerdict) -> Evidence:
    """A second witness of what a signal saw makes it likelier; decide takes the likeliest."""
    seen = max((e.probability for e in verdict.evidence if e.family is said.family), default=0.0)
    return replace(said, probability=1 - (1 - seen) * (1 - _WEIGHT * said.probability))
