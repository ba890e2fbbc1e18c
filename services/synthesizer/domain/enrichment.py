"""Rows that no trace holds: clean forms, failing probes and noisy twins, added to a curriculum."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from services.synthesizer.domain.curriculum import Curriculum
from services.synthesizer.domain.noisy_twins import noisy_twins
from shared.domain.near_duplicates import NearDuplicateIndex, normalise
from shared.domain.pipeline import DataSpec
from shared.domain.rows import TrainingRow
from shared.domain.triage import Family

LEAK = "made row near an evaluation row"
CONTRADICTION = "made row, another answer is known"
KNOWN = "made row that is known"


def enrich(
    curriculum: Curriculum,
    made: Sequence[TrainingRow],
    noise: Mapping[Family, float],
    spec: DataSpec,
    *,
    evaluation_texts: Iterable[str],
    same: Callable[[str], str] = normalise,
) -> Curriculum:
    """The curriculum with the rows the diagnosis made, and noisy twins of ``spec.noisy`` of all.

    What a gate will ask, nearly or exactly, is left out, as is a text with two answers; texts are
    one where ``same`` makes them equal. ``noise``: the share of traffic that shows each family of
    fixable noise; none where noise would move an answer.
    """
    index = NearDuplicateIndex(evaluation_texts)
    dropped = Counter(curriculum.dropped)
    kept = _fitting(made, curriculum.rows, index, dropped, same)
    rows = (*curriculum.rows, *kept)
    twins = noisy_twins(rows, noise, share=spec.noisy, seed=spec.seed)
    leaking = index.match_each([twin.text for twin in twins])
    twins = [twin for twin, leaks in zip(twins, leaking, strict=True) if not leaks]
    return replace(curriculum, rows=(*rows, *twins), dropped=dict(sorted(dropped.items())))


def _fitting(
    made: Sequence[TrainingRow],
    rows: Sequence[TrainingRow],
    index: NearDuplicateIndex,
    dropped: Counter[str],
    same: Callable[[str], str],
) -> list[TrainingRow]:
    answers = {same(row.text): row.target for row in rows}
    texts = {row.text for row in rows}
    kept: list[TrainingRow] = []
    ordered = sorted(made, key=lambda row: row.id)
    for row, leaks in zip(ordered, index.match_each([r.text for r in ordered]), strict=True):
        if leaks:
            dropped[LEAK] += 1
        elif answers.setdefault(same(row.text), row.target) != row.target:
            dropped[CONTRADICTION] += 1
        elif row.text in texts:
            dropped[KNOWN] += 1
        else:
            texts.add(row.text)
            kept.append(row)
    return kept
