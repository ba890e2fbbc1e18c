"""A human's correction offered to similar traces that nobody judged (paper §2.7): never applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from shared.domain.near_duplicates import normalise
from shared.domain.traces import JudgedTrace, UnjudgedTrace

# With 400 corrections over 77 intents of banking and 150 of CLINC150, a fifth of other queries gets
# an offer from here on, and 82 and 94 of 100 offers are right; at 0.5 a third, and 77 and 88.
SIMILAR = 0.6
# Another answer whose text is nearly as similar makes an offer a guess.
_MARGIN = 0.1
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Offer:
    """An answer that a human may accept for a trace, and the corrected trace it comes from."""

    trace_id: str
    answer: str
    similarity: float
    source_id: str
    source_text: str


def offer_corrections(
    corrected: Sequence[JudgedTrace],
    unjudged: Sequence[UnjudgedTrace],
    *,
    at_least: float = SIMILAR,
) -> dict[str, Offer]:
    """The best offer for each unjudged trace that has one, by trace id.

    ``corrected``: traces whose right output a human named. Similarity is the cosine of TF-IDF
    vectors of groups of 3 to 5 letters, 0 to 1: a misspelt word is still similar. No offer is made
    where texts that are nearly as similar were given another answer. What one trace is offered
    does not depend on the other unjudged ones.
    """
    # By id, so that of equally similar sources always the same one is named.
    sources = sorted(corrected, key=lambda trace: trace.id)
    if not sources or not unjudged:
        return {}
    known, asked = _vectors([s.text for s in sources], [u.text for u in unjudged])
    answers, answer_of = np.unique([s.corrected for s in sources], return_inverse=True)
    offers: dict[str, Offer] = {}
    for start in range(0, len(unjudged), _ROWS_AT_ONCE):
        similar = (asked[start : start + _ROWS_AT_ONCE] @ known.T).toarray()
        for trace, row in zip(unjudged[start : start + _ROWS_AT_ONCE], similar, strict=True):
            best = int(row.argmax())
            others = row[answer_of != answer_of[best]]
            if row[best] < at_least or (len(others) and others.max() > row[best] - _MARGIN):
                continue
            source = sources[best]
            offers[trace.id] = Offer(
                trace.id,
                str(answers[answer_of[best]]),
                min(1.0, float(row[best])),
                source.id,
                source.text,
            )
    return offers


def _vectors(known: Sequence[str], asked: Sequence[str]) -> tuple[Any, Any]:
    """Unit TF-IDF rows of both; what only ``asked`` has counts as the rarest."""
    counts = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(3, 5),
        alternate_sign=False,
        preprocessor=normalise,
    )
    weigh = TfidfTransformer()
    left = weigh.fit_transform(counts.transform(known))
    return left, weigh.transform(counts.transform(asked))
