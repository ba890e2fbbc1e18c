"""Progress of one training, written rarely enough to cost nothing."""

import time

from shared.job_specs import CandidateProgress
from shared.ports import ArtifactStore

_SECONDS_BETWEEN = 0.5


class ProgressFile:
    """Writes ``state/jobs/<job>/progress/<candidate>.json`` at most twice a second."""

    def __init__(self, artifacts: ArtifactStore, job_id: str, candidate: str) -> None:
        self._artifacts = artifacts
        self._path = f"jobs/{job_id}/progress/{candidate}.json"
        self._candidate = candidate
        self._last = float("-inf")

    def due(self) -> bool:
        """Whether enough time has passed; ask before computing what costs a synchronisation."""
        return time.monotonic() - self._last >= _SECONDS_BETWEEN

    def __call__(self, step: int, steps: int, loss: float | None) -> None:
        """Write the progress now."""
        self._last = time.monotonic()
        progress = CandidateProgress(candidate=self._candidate, step=step, steps=steps, loss=loss)
        self._artifacts.write_state(self._path, progress.model_dump_json().encode())
