"""What plain fine-tuning on every row that a deployment saw reaches, in the same place and time."""

import time
from tempfile import TemporaryDirectory

from bench.deployment.entity_figures import Gold
from bench.deployment.traffic import Deployment
from examples.demo.production import BASE_MODEL
from services.controller.domain.moves import RecipeGrid
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.ids import derive_id
from shared.domain.pipeline import Method, Recipe, Strategy
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task
from shared.errors import PermanentError
from shared.job_specs import CandidateSpec, FailedCandidate, TrainSpec
from shared.jobs.predict import Predictor
from shared.jobs.train import train_candidate


def train_on_gold(deployment: Deployment) -> Gold:
    """Train once, from labels alone, on the first rows and all requests with their references.

    Raises PermanentError when it cannot be trained.
    """
    examples = [*deployment.first, *(request.served for request in deployment.requests)]
    rows = [Row(derive_id("gold", e.text), e.text, e.label) for e in examples]
    first = RecipeGrid().first(BASE_MODEL, Method.FULL, rows=len(rows))
    recipe = Recipe(first.hyperparameters, Strategy(Method.FULL))
    candidate = CandidateSpec(id=derive_id("gold", recipe.digest, len(rows)), recipe=recipe)
    with TemporaryDirectory(prefix="pioneer-gold-") as home:
        artifacts = FsspecArtifacts(home)
        spec = TrainSpec(
            task=Task(deployment.kind, deployment.labels),
            training_set=artifacts.put(dump_rows(rows), name="training.jsonl"),
            candidates=(candidate,),
        )
        start = time.perf_counter()
        trained = train_candidate(spec, candidate, "gold", artifacts.uri, threads=1)
        seconds = time.perf_counter() - start
        if isinstance(trained, FailedCandidate):
            raise PermanentError(f"{recipe.name} could not be trained: {trained.reason}")
        found = Predictor.load(artifacts, trained.adapter).predict(
            [e.text for e in deployment.test]
        )
    return Gold(tuple(one.output for one in found), len(rows), round(seconds, 1))
