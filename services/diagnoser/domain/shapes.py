"""What inputs look like: their lengths, whether they ask, which fixable noise they carry."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from shared.domain.patterns import Shape
from shared.domain.traces import JudgedTrace
from shared.domain.triage import FIXABLE_FAMILIES, Family, TriageVerdict

# Evidence weaker than an even chance is no sign of noise.
_LIKELY = 0.5
_ASKING = frozenset(
    {
        *(
            "what",
            "whats",
            "how",
            "hows",
            "when",
            "whens",
            "where",
            "wheres",
            "who",
            "whos",
            "whom",
        ),
        *("whose", "which", "why", "is", "are", "was", "were", "am", "do", "does", "did", "can"),
        *(
            "could",
            "will",
            "would",
            "should",
            "shall",
            "may",
            "might",
            "has",
            "have",
            "had",
            "isnt",
        ),
        *("arent", "dont", "doesnt", "cant", "couldnt", "wont", "wouldnt", "shouldnt"),
    }
)


def shape(members: Sequence[JudgedTrace], verdicts: Mapping[str, TriageVerdict]) -> Shape:
    """The shape of a pattern's members; at least one is needed."""
    words = [len(member.text.split()) for member in members]
    low, middle, high = np.percentile(words, (25, 50, 75)).tolist()
    carried = [noise_of(verdicts.get(member.id)) for member in members]
    families = Counter(family for found in carried for family in found)
    ranked = sorted(families, key=lambda family: (-families[family], family.value))
    return Shape(
        word_quartiles=(low, middle, high),
        questions=sum(asks(member.text) for member in members) / len(members),
        noisy=sum(bool(found) for found in carried) / len(members),
        noise=tuple((family, families[family] / len(members)) for family in ranked),
    )


def noise_of(verdict: TriageVerdict | None) -> frozenset[Family]:
    """The fixable noise that triage saw in a row."""
    if verdict is None:
        return frozenset()
    seen = {e.family for e in verdict.evidence if e.probability >= _LIKELY}
    seen |= {verdict.family} if verdict.family else set()
    return FIXABLE_FAMILIES & seen


def noise_shares(
    traces: Iterable[JudgedTrace], verdicts: Mapping[str, TriageVerdict]
) -> dict[Family, float]:
    """Share of the triaged traces that carry each family; empty when none was triaged."""
    triaged = [verdicts[trace.id] for trace in traces if trace.id in verdicts]
    families = Counter(family for verdict in triaged for family in noise_of(verdict))
    return {family: count / len(triaged) for family, count in families.items()}


def asks(text: str) -> bool:
    """Whether a text is a question: by its mark, or, where marks are left out, its first word."""
    if "?" in text:
        return True
    first = text.split(maxsplit=1)[:1]
    return bool(first) and first[0].casefold().replace("'", "").replace("’", "") in _ASKING
