"""An adapter merged into its base, for servers that load whole weights."""

from shared.job_specs import MergeResult, MergeSpec
from shared.jobs.checkpoints import load, save
from shared.ports import ArtifactStore


def run_merge(spec: MergeSpec, artifacts: ArtifactStore) -> MergeResult:
    """The same model as whole weights, float32, however the training held its frozen ones.

    Raises as ``load``.
    """
    found = load(artifacts, spec.adapter)
    adapter = found.adapter.model_copy(update={"merged": True})
    return MergeResult(model=save(artifacts, adapter, found.model, found.tokenizer, name="merged"))
