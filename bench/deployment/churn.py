"""Negative flips (right before, wrong now) of plain retraining and of one held to its parent.

Offline and without services, on equal rows: the failures to repair, replayed passes, and the first
model's rows. What is measured was never trained on.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from tempfile import TemporaryDirectory

from bench.deployment.traffic import Deployment
from examples.demo.production import BASE_MODEL, SEED_RECIPE
from examples.demo.workload import Example
from services.controller.domain.moves import PROTECTING, RecipeGrid
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.errors import PermanentError
from shared.job_specs import CandidateSpec, FailedCandidate, TrainSpec
from shared.jobs.predict import Predictor
from shared.jobs.train import train_candidate

REPAIR_SHARE = 0.65
REPLAYED, REPLAYED_MORE = 600, 1200


@dataclass(frozen=True, slots=True)
class Flips:
    """Of one training; flips as shares of the test, and of passes that were never trained on."""

    scenario: str
    seed: int
    arm: str
    recipe: str
    rows: int
    test_accuracy: float
    test_flips: float
    pass_flips: float
    heldout_fixed: float
    train_seconds: float


def measure_churn(deployment: Deployment) -> Iterator[Flips]:
    """``plain`` as a run begins, ``kept`` to its parent, ``protected`` as after breaking much."""
    with TemporaryDirectory(prefix="pioneer-churn-") as home:
        yield from _Bench(deployment, FsspecArtifacts(home)).arms()


def arms(seed: int) -> dict[str, tuple[Recipe, int]]:
    """Recipe and replayed passes by arm."""
    grid = RecipeGrid()
    plain = Recipe(
        Hyperparameters(
            base_model=BASE_MODEL,
            learning_rate=grid.full_rate,
            epochs=grid.full_epochs,
            batch_size=grid.batch_size,
            seed=seed,
        ),
        Strategy(Method.FULL),
    )
    # The smallest blend: it costs least where the new model is much better than its parent.
    _, kept, *_ = grid.with_blends(grid.kept(plain))
    _, protected, *_ = grid.with_blends(grid.kept(plain, orders=PROTECTING[0].keep))
    return {
        "plain": (plain, REPLAYED),
        "kept": (kept, REPLAYED),
        "protected": (protected, REPLAYED),
        "plain, more replay": (plain, REPLAYED_MORE),
        "protected, more replay": (protected, REPLAYED_MORE),
    }


class _Bench:
    """One first model and what it got right and wrong."""

    def __init__(self, deployment: Deployment, artifacts: FsspecArtifacts) -> None:
        self._deployment = deployment
        self._artifacts = artifacts
        self._task = Task(TaskKind.CLASSIFICATION, deployment.labels)
        seeded = replace(SEED_RECIPE.hyperparameters, seed=deployment.seed)
        first = replace(SEED_RECIPE, hyperparameters=seeded)
        self._parent: ArtifactRef | None = None
        self._parent, _ = self._train(deployment.first, first)
        requests = [Example(r.text, r.truth) for r in deployment.requests]
        outputs = self._answers(self._parent, requests)
        answered = list(zip(requests, outputs, strict=True))
        Random(deployment.seed).shuffle(answered)
        failures = [example for example, output in answered if example.label != output]
        cut = round(REPAIR_SHARE * len(failures))
        self._repair, self._heldout = failures[:cut], failures[cut:]
        self._passes = [example for example, output in answered if example.label == output]
        self._test = self._answers(self._parent, deployment.test)

    def arms(self) -> Iterator[Flips]:
        for name, how in arms(self._deployment.seed).items():
            yield self._arm(name, *how)

    def _arm(self, name: str, recipe: Recipe, replayed: int) -> Flips:
        rows = [*self._repair, *self._deployment.first, *self._passes[:replayed]]
        adapter, seconds = self._train(rows, recipe)
        test, fresh = self._deployment.test, self._passes[REPLAYED_MORE:]
        answers = self._answers(adapter, test)
        truths = [example.label for example in test]
        triples = list(zip(self._test, answers, truths, strict=True))
        return Flips(
            scenario=self._deployment.name,
            seed=self._deployment.seed,
            arm=name,
            recipe=recipe.name,
            rows=len(rows),
            test_accuracy=_share([after == truth for _, after, truth in triples]),
            test_flips=_share([before == truth != after for before, after, truth in triples]),
            pass_flips=1 - self._right(adapter, fresh),
            heldout_fixed=self._right(adapter, self._heldout),
            train_seconds=round(seconds, 1),
        )

    def _right(self, adapter: ArtifactRef, examples: Sequence[Example]) -> float:
        answers = self._answers(adapter, examples)
        return _share([e.label == a for e, a in zip(examples, answers, strict=True)])

    def _answers(self, adapter: ArtifactRef, examples: Sequence[Example]) -> list[str]:
        found = Predictor.load(self._artifacts, adapter).predict([e.text for e in examples])
        return [prediction.output for prediction in found]

    def _train(self, examples: Sequence[Example], recipe: Recipe) -> tuple[ArtifactRef, float]:
        """(adapter, seconds with the parent's answers), as a training job does it."""
        rows = [Row(derive_id("churn", e.text), e.text, e.label) for e in examples]
        candidate = CandidateSpec(id=derive_id("churn", recipe.digest, len(rows)), recipe=recipe)
        spec = TrainSpec(
            task=self._task,
            training_set=self._artifacts.put(dump_rows(rows), name="training.jsonl"),
            parent=self._parent,
            candidates=(candidate,),
        )
        start = time.perf_counter()
        # One thread: the same sums on every machine, and no waiting for a core that is taken.
        trained = train_candidate(spec, candidate, "churn", self._artifacts.uri, threads=1)
        if isinstance(trained, FailedCandidate):
            raise PermanentError(f"{recipe.name} could not be trained: {trained.reason}")
        return trained.adapter, time.perf_counter() - start


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found)
