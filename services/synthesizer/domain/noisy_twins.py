"""Noisy forms of right rows: what a deployment's users misspell, its model should still understand.

Fixable noise changes the form and keeps the answer (paper §2.6 step 2), so a row and its noisy
twin, with one answer, teach the model to look past that form.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.domain.ids import derive_id
from shared.domain.near_duplicates import normalise
from shared.domain.noise import noisy_form
from shared.domain.rows import TWIN, TrainingRow
from shared.domain.triage import Family


def noisy_twins(
    rows: Sequence[TrainingRow], noise: Mapping[Family, float], *, share: float, seed: int
) -> list[TrainingRow]:
    """A twin for about ``share`` of the rows, in families as often as the deployment shows them.

    ``noise`` maps a family to its share of traffic. A row gets at most one twin; a form that
    changes nothing, or makes what another row says, is left out. Equal input gives equal twins.
    """
    families = sorted(family for family, seen in noise.items() if seen > 0)
    if not families or share <= 0:
        return []
    weights = [noise[family] for family in families]
    known = {row.text for row in rows}
    answers = {normalise(row.text): row.target for row in rows}
    twins: list[TrainingRow] = []
    for row in rows:
        rng = random.Random(derive_id("twin", seed, row.id, row.text))
        if rng.random() >= share:
            continue
        family = rng.choices(families, weights)[0]
        text = noisy_form(row.text, family, rng)
        if text is None or text in known or answers.get(normalise(text), row.target) != row.target:
            continue
        known.add(text)
        answers[normalise(text)] = row.target
        id_, reason = derive_id("twin", row.id, family), f"{family} form of row {row.id}"
        twins.append(replace(row, id=id_, text=text, source=TWIN, reason=reason))
    return twins
