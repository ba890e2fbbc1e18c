"""What a deployed model's successor may start from: its training set, and failures since released.

The one place that says so, for triage, which trusts these rows, and for the curriculum.
"""

from shared.domain.lineage import DeployedModel
from shared.domain.rows import EvalRow, Row, load_learned, load_rows, released
from shared.ports import ArtifactStore


def learned_rows(artifacts: ArtifactStore, deployed: DeployedModel) -> list[Row]:
    """Rows of the deployed version's training set, then held-out failures of earlier gates.

    Each id once. Raises as ``ArtifactStore.get`` and ``load_rows``.
    """
    training_set = deployed.version.training_set
    rows = load_learned(artifacts.get(training_set)) if training_set else []
    for ref in deployed.earlier_evaluations:
        rows += released(load_rows(artifacts.get(ref), EvalRow))
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.id, row)
    return list(first.values())
