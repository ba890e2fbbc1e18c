"""Evidence that those who corrected a text do not agree: about one trace, or about its twins."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shared.domain.near_duplicates import normalise
from shared.domain.traces import JudgedTrace, Opinion
from shared.domain.triage import Evidence, Family

SIGNAL = "disagreement"
# Texts that differ in a word may rightly have different answers: of clean near-duplicate groups
# of intent queries up to one in eleven has.
_NEAR = 0.5
# All weaker voices together, beside one of the strongest: they never outvote it.
_WEAKER = 0.2
# Below it a lone dissenter says nothing of the many.
_LEAST = 0.1

# Voices by answer and strength of their source.
_Voices = Counter[tuple[str, int]]


def disagreement_evidence(
    traces: Sequence[JudgedTrace], groups: Sequence[int]
) -> list[Evidence | None]:
    """For each trace how likely its right output is disputed; None where nobody objects.

    ``groups``: the near-duplicate group of each trace. Only voices of the strongest source that
    spoke in a group count in full, so a human outweighs any number of automatic ones; each voice
    counts once for a text, however often it is repeated. The probability is the strongest other
    answer's share against this trace's own: a half between equals, more for the minority. Raises
    ValueError when the lengths differ.
    """
    if len(traces) != len(groups):
        raise ValueError(f"{len(traces)} traces but {len(groups)} groups: give each trace one")
    found: list[Evidence | None] = [None] * len(traces)
    members: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    for places in members.values():
        rows = [traces[place] for place in places]
        if len({opinion.answer for row in rows for opinion in _opinions(row)}) > 1:
            for place, evidence in zip(places, _disputes(rows), strict=True):
                found[place] = evidence
    return found


def _opinions(trace: JudgedTrace) -> tuple[Opinion, ...]:
    """What was voted, and the standing judgement where it is not among the votes."""
    source, answer = trace.source, trace.corrected
    if any((vote.source, vote.answer) == (source, answer) for vote in trace.votes):
        return trace.votes
    return (*trace.votes, Opinion(answer, source))


def _disputes(rows: Sequence[JudgedTrace]) -> Iterable[Evidence | None]:
    """One answer for each row of a near-duplicate group."""
    texts = [normalise(row.text) for row in rows]
    heard: dict[str, set[Opinion]] = defaultdict(set)
    for text, row in zip(texts, rows, strict=True):
        heard[text].update(_opinions(row))
    of_text = {
        text: Counter((o.answer, o.source.strength) for o in opinions)
        for text, opinions in heard.items()
    }
    whole: _Voices = Counter()
    for voices in of_text.values():
        whole.update(voices)
    weights = {text: _weights(voices, whole) for text, voices in of_text.items()}
    for text, row in zip(texts, rows, strict=True):
        yield _dispute(row.corrected, weights[text], of_text[text], whole)


def _weights(voices: _Voices, whole: _Voices) -> dict[str, float]:
    """The weight of each answer for one text: its own voices and, for less, those of its twins."""
    top = max(strength for _, strength in whole)
    strong: dict[str, float] = defaultdict(float)
    weak: dict[str, float] = defaultdict(float)
    for (answer, strength), count in whole.items():
        own = voices[answer, strength]
        level = strong if strength == top else weak
        level[answer] += own + _NEAR * (count - own)
    scale = _WEAKER / sum(weak.values()) if weak else 0.0
    return {a: strong[a] + scale * weak[a] for a in (*strong, *weak)}


def _dispute(
    answer: str, weights: Mapping[str, float], voices: _Voices, whole: _Voices
) -> Evidence | None:
    rival = min((a for a in weights if a != answer), key=lambda a: (-weights[a], a), default=None)
    if rival is None:
        return None
    probability = weights[rival] / (weights[rival] + weights[answer])
    if probability < _LEAST:
        return None
    for_rival = sum(count for (a, _), count in whole.items() if a == rival)
    about = "this text" if voices == whole else "this text and its near-duplicates"
    detail = f"{for_rival} of {whole.total()} voices on {about} say {rival[:80]!r}"
    return Evidence(SIGNAL, Family.DISAGREEMENT, probability, detail)
