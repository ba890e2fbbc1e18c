"""cleanlab as it comes: the arm that a careful user of it would run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from shared.domain.rows import Row

FOLDS = 5


def label_issues(rows: Sequence[Row], labels: Sequence[str]) -> list[bool]:
    """Whether each row's target looks wrong to ``find_label_issues``. Every label needs 5 rows.

    The embeddings are MiniLM's, also where another model learns: what writes embeds poorly.
    """
    from cleanlab.filter import find_label_issues

    from shared.jobs.base_models import MINILM
    from shared.jobs.embed import load_base, read_texts

    index = {label: number for number, label in enumerate(labels)}
    targets = np.array([index[row.target] for row in rows])
    vectors, _ = read_texts([row.text for row in rows], base=load_base(MINILM), deployed=None)
    model = LogisticRegression(max_iter=1000)
    probabilities: Any = cross_val_predict(
        model, vectors, targets, cv=FOLDS, method="predict_proba"
    )
    found: Any = find_label_issues(targets, probabilities, n_jobs=1)
    return [bool(wrong) for wrong in found]
