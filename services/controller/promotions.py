"""What a run earned becomes the next version of its model, or its first, once."""

from services.controller.domain import registry
from services.controller.domain.decision import Promote
from services.controller.domain.registry import Checkpoint, ModelRecord, deployed
from services.controller.domain.run import Run
from services.controller.ledger import Entry, Ledger
from services.controller.messages import model_promoted
from shared.errors import UnknownThing
from shared.ports import Clock


class Promotions:
    """The registry of models, changed under a run's id: done twice, it has the effect of once."""

    def __init__(self, models: Ledger[ModelRecord], clock: Clock) -> None:
        self._models = models
        self._clock = clock

    async def promote(self, run: Run, promote: Promote) -> ModelRecord | str:
        """The record with the run's version, or why it is not promoted, in words."""
        if run.deployed.trained:
            return await self._next(run, promote)
        return await self._first(run, promote)

    async def record(self, model: str) -> Entry[ModelRecord]:
        """Raises UnknownThing for a model that nobody registered."""
        entry = await self._models.get(model)
        if entry is None:
            raise UnknownThing(f"model {model!r} is not registered: register it first")
        return entry

    async def _next(self, run: Run, promote: Promote) -> ModelRecord | str:
        """The record with its next version, or why there is none."""
        model = await self.record(run.model)
        record = registry.promote(
            model.state,
            _checkpoint(run, promote),
            cause=run.id,
            reason=promote.reason,
            now=self._clock(),
        )
        if record is model.state:
            await self._models.flush(run.model)
        elif (served := deployed(model.state).version.number) != run.deployed.version.number:
            # The gate compared with the parent; against another version it proves nothing.
            began = run.deployed.version.number
            return f"version {served} is deployed by now, the run began from {began}"
        else:
            await self._models.change(model, record, [model_promoted(record, run.id)])
        return record

    async def _first(self, run: Run, promote: Promote) -> ModelRecord | str:
        """The record of a model with its first version, or why there is none."""
        record = registry.found(
            run.model,
            run.deployed.task,
            _checkpoint(run, promote),
            cause=run.id,
            reason=promote.reason,
            now=self._clock(),
        )
        if await self._models.create(run.model, record, [model_promoted(record, run.id)]):
            return record
        known = await self.record(run.model)
        if known.state.deployments[0].cause != run.id:
            return f"model {run.model!r} was registered meanwhile: start under another name"
        await self._models.flush(run.model)
        return known.state


def _checkpoint(run: Run, promote: Promote) -> Checkpoint:
    admission, parent = promote.admission, run.deployed.version
    calibrated, recipe = admission.candidate.calibrated, admission.candidate.recipe
    return Checkpoint(
        adapter=admission.candidate.adapter,
        base_model=parent.base_model if calibrated else recipe.hyperparameters.base_model,
        # Nothing was trained: it learned what its parent did.
        training_set=parent.training_set if calibrated else admission.training_set,
        evaluation_set=run.evaluation_set,
        heldout_score=admission.score,
        run_id=run.id,
    )
