"""From π to training jobs: which candidates are trained, and under which ids."""

from shared.domain.ids import derive_id
from shared.errors import BadInput
from shared.events import TrainingSetSynthesized
from shared.job_specs import CandidateSpec, TrainSpec
from shared.tasks import behaviour


def plan_training(event: TrainingSetSynthesized) -> TrainSpec:
    """One candidate for each distinct recipe, all on the same set. Raises BadInput without any."""
    recipes = {recipe.digest: recipe for recipe in event.recipes}
    if not recipes:
        raise BadInput(
            f"iteration {event.iteration} of run {event.run_id} names no recipe to train"
        )
    of_labels = behaviour(event.deployed.task).answers_are_labels
    if of_labels and event.composition.labels < 2:
        raise BadInput(
            f"the training set has {event.composition.labels} label(s), a classifier needs two: "
            "register the model with the rows it was trained on, so that the others are replayed"
        )
    return TrainSpec(
        task=event.deployed.task,
        training_set=event.training_set,
        parent=event.deployed.version.adapter if event.deployed.trained else None,
        candidates=tuple(
            CandidateSpec(
                id=candidate_id(event.run_id, event.training_set.sha256, digest), recipe=r
            )
            for digest, r in recipes.items()
        ),
    )


def training_job_id(run_id: str, iteration: int) -> str:
    """The job of one iteration; a repeated event finds it there."""
    return derive_id("train", run_id, iteration)


def candidate_id(run_id: str, training_set: str, recipe: str) -> str:
    """The same data and recipe in one run are the same candidate."""
    return derive_id("candidate", run_id, training_set, recipe)
