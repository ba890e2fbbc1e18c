"""The search bench: equal budgets, nothing chosen on the test, nothing trained twice."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from bench.search.case import Case, build
from bench.search.results import Results
from bench.search.runner import Bench
from bench.search.strategies import STRATEGIES, Rules, draw_data, draw_recipe
from bench.search.tables import report
from bench.search.workshop import LocalWorkshop, Outcome, Vectors
from examples.demo.workload import Example
from services.controller.domain.moves import DataGrid, RecipeGrid
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.pipeline import Method, Recipe
from shared.domain.tasks import Task
from shared.errors import BadInput
from shared.job_specs import FailedCandidate, TrainedCandidate

LABELS = ("book", "cancel", "greet")
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]
ROWS = 640
RULES = Rules(trainings=6)


def chance(*cause: str) -> float:
    """Uniform in [0, 1), the same for the same cause."""
    return int(hashlib.sha256("|".join(cause).encode()).hexdigest()[:8], 16) / 2**32


def a_case(seed: int = 1) -> Case:
    rng = Random(5)
    # Each label has words of its own, or triage would hold every correction for wrong.
    own: dict[str, list[str]] = dict(
        zip(LABELS, (WORDS[:20], WORDS[20:40], WORDS[40:60]), strict=True)
    )
    rows = [
        Example(" ".join((*rng.sample(own[label], 4), *rng.sample(WORDS[60:], 3))), label)
        for label in (LABELS[at % 3] for at in range(ROWS))
    ]
    return build("toy", rows, first=10, requests=300, seed=seed)


class FakeWorkshop:
    """Models that are right on so much of all texts, as their recipe and training set have it.

    A text that is no row of the case has its first label for an answer. ``broken``: recipes of
    this method cannot be trained.
    """

    def __init__(self, folder: Path, case: Case, *, broken: Method | None = None) -> None:
        self.artifacts = FsspecArtifacts(str(folder))
        self._truth = {r.text: r.target for r in (*case.first, *case.requests, *case.test)}
        self._test = {row.text for row in case.test}
        self._broken = broken
        self._skill: dict[ArtifactRef, float] = {}
        self.trained: list[Recipe] = []
        self.log: list[str] = []

    def train(
        self,
        task: Task,
        training_set: ArtifactRef,
        recipes: Sequence[Recipe],
        parent: ArtifactRef | None,
    ) -> list[Outcome]:
        assert task.labels == LABELS
        self.trained += dict.fromkeys(recipe.training for recipe in recipes)
        self.log.append("train")
        return [self._made(training_set, recipe, first=parent is None) for recipe in recipes]

    def answers(self, adapter: ArtifactRef, texts: Sequence[str]) -> list[str]:
        on_test = {text in self._test for text in texts}
        assert len(on_test) <= 1, "test rows among others"
        self.log.append("test" if True in on_test else "ask")
        return [self._answer(adapter, text) for text in texts]

    def read(self, adapter: ArtifactRef, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        assert not self._test & set(texts)
        rng = np.random.default_rng(3)
        vectors = rng.normal(scale=0.3, size=(len(texts), 16)).astype(np.float32)
        truths = [LABELS.index(self._truth.get(text, LABELS[0])) for text in texts]
        vectors[range(len(texts)), truths] += 1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        said = [LABELS.index(self._answer(adapter, text)) for text in texts]
        probabilities = np.full((len(texts), 3), 0.1, np.float32)
        probabilities[range(len(texts)), said] = 0.8
        return vectors, probabilities

    def _made(self, training_set: ArtifactRef, recipe: Recipe, *, first: bool) -> Outcome:
        id_ = f"{training_set.sha256[:8]}-{recipe.digest[:8]}"
        if recipe.strategy.method is self._broken and not first:
            return FailedCandidate(id=id_, recipe=recipe, reason="no memory")
        adapter = ArtifactRef(f"file:///{id_}", f"{id_:0<64}"[:64])
        self._skill[adapter] = 0.7 if first else 0.8 + 0.2 * chance(id_)
        return TrainedCandidate(
            id=id_,
            recipe=recipe,
            adapter=adapter,
            final_loss=0.0,
            train_seconds=0.0 if recipe.strategy.blended else 2.0,
            examples_per_second=1.0,
        )

    def _answer(self, adapter: ArtifactRef, text: str) -> str:
        truth = self._truth.get(text, LABELS[0])
        # By text alone: a better model is right wherever a worse one is.
        right = chance(text) < self._skill[adapter]
        return truth if right else LABELS[(LABELS.index(truth) + 1) % 3]


class Benches:
    """Benches that write one file; ``workshops`` are those that were opened, in order."""

    def __init__(self, home: Path, **how: Any) -> None:
        self.results = Results(home / "search.json")
        self.workshops: list[FakeWorkshop] = []
        self.home, self._how = home, how

    def run(self, case: Case, rules: Rules = RULES) -> list[dict[str, Any]]:
        def opened(folder: Path) -> FakeWorkshop:
            self.workshops.append(FakeWorkshop(folder, case, **self._how))
            return self.workshops[-1]

        Bench(self.results, rules, self.home / "work", "made so", lambda _: None, opened).run(
            [case]
        )
        return self.rows

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.results.content["rows"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Benches:
    """One case with all its strategies: only to be looked at."""
    benches = Benches(tmp_path_factory.mktemp("finished"))
    benches.run(a_case())
    return benches


@pytest.fixture
def benches(tmp_path: Path, finished: Benches) -> Benches:
    """The same results in a file of their own, to go on from."""
    (tmp_path / "search.json").write_text((finished.home / "search.json").read_text())
    return Benches(tmp_path)


def test_every_strategy_keeps_to_the_same_budget(finished: Benches) -> None:
    rows = {row["strategy"]: row for row in finished.rows}
    assert set(rows) == set(STRATEGIES)
    assert {rows["fixed"]["trainings"], rows["random"]["trainings"]} == {RULES.trainings}
    assert 2 <= rows["search"]["trainings"] <= RULES.trainings
    assert len(finished.workshops[0].trained) == 1 + sum(row["trainings"] for row in rows.values())
    assert all(row["seconds"] == 2 * row["trainings"] for row in rows.values())


def test_the_test_is_asked_once_when_all_is_decided(finished: Benches) -> None:
    log, rows = finished.workshops[0].log, finished.rows
    # Once for the first model, and once for each strategy that has something admitted.
    assert log.count("test") == 1 + sum(row["admitted"] for row in rows)
    assert any(row["admitted"] for row in rows)
    searching = log[log.index("test") + 1 :]
    assert "test" not in searching[: searching.index("train") + 1]


def test_what_is_admitted_is_measured(finished: Benches) -> None:
    for row in finished.rows:
        assert row["test_rows"] == len(a_case().test)
        if row["admitted"]:
            assert row["accuracy"] > row["accuracy_before"]
            assert row["regressions"] <= RULES.limits.epsilon
            assert row["score"] > 0
        else:
            assert row["accuracy"] == row["accuracy_before"]


def test_nothing_admitted_leaves_the_deployed_model(tmp_path: Path) -> None:
    class Worse(FakeWorkshop):
        def _made(self, training_set: ArtifactRef, recipe: Recipe, *, first: bool) -> Outcome:
            made = super()._made(training_set, recipe, first=first)
            if not first and isinstance(made, TrainedCandidate):
                self._skill[made.adapter] = 0.3
            return made

    case, results = a_case(), Results(tmp_path / "search.json")
    bench = Bench(results, RULES, tmp_path, "", lambda _: None, lambda folder: Worse(folder, case))
    bench.run([case])
    for row in results.content["rows"]:
        assert (row["admitted"], row["score"], row["regressions"]) == (False, None, None)
        assert row["accuracy"] == row["accuracy_before"]


def test_a_training_that_fails_is_counted(tmp_path: Path) -> None:
    for row in Benches(tmp_path, broken=Method.FULL).run(a_case()):
        assert row["trainings"] >= 2
        assert "full" not in row["chosen"]


def test_what_is_finished_trains_nothing_again(benches: Benches) -> None:
    before = benches.rows
    assert benches.run(a_case()) == before
    assert not benches.workshops


def test_a_cut_off_case_runs_what_is_missing(benches: Benches, tmp_path: Path) -> None:
    whole = benches.rows
    file = tmp_path / "search.json"
    content = json.loads(file.read_text())
    content["rows"] = [row for row in content["rows"] if row["strategy"] != "random"]
    file.write_text(json.dumps(content))
    assert benches.run(a_case()) == whole
    # The first model again, since the case's models were deleted, and this strategy's own.
    assert len(benches.workshops[0].trained) == 1 + RULES.trainings


def test_another_budget_is_another_measurement(benches: Benches) -> None:
    rows = benches.run(a_case(), Rules(trainings=2))
    assert len(rows) == len(STRATEGIES)
    assert all(row["trainings"] == 2 for row in rows)


def test_the_same_seed_gives_the_same_rows(tmp_path: Path, finished: Benches) -> None:
    assert Benches(tmp_path).run(a_case()) == finished.rows
    assert a_case(1).digest != a_case(2).digest


def test_strategies_begin_alike_but_for_chance(finished: Benches) -> None:
    trained = finished.workshops[0].trained[1:]
    rows = {row["strategy"]: row for row in finished.rows}
    own = rows["search"]["trainings"]
    search, fixed = trained[:own], trained[own : own + RULES.trainings]
    assert search[:2] == fixed[:2]
    seeds = [recipe.hyperparameters.seed for recipe in fixed]
    assert len(set(seeds)) == RULES.trainings // 2
    assert len({(r.hyperparameters.learning_rate, r.strategy) for r in fixed}) == 2


@pytest.mark.parametrize("seed", range(20))
def test_chance_stays_within_the_ranges(seed: int) -> None:
    rng, grid, recipes = Random(seed), DataGrid(), RecipeGrid()
    data = draw_data(grid, rng)
    assert grid.sizes[0] <= data.size <= grid.sizes[1]
    assert data.gold <= grid.most_gold
    assert grid.least_hard <= data.hard <= grid.most_hard
    assert 0 <= data.replay <= grid.most_replay
    for method in Method:
        h = draw_recipe(recipes, "minilm", method, rng).hyperparameters
        assert recipes.rates[0] <= h.learning_rate <= recipes.rates[1]
        assert recipes.ranks[0] <= h.lora_rank <= recipes.ranks[1]
        assert recipes.epoch_range[0] <= h.epochs <= recipes.epoch_range[1]


def test_a_case_shares_no_text_between_its_parts() -> None:
    case = a_case()
    parts = [{row.text for row in part} for part in (case.first, case.requests, case.test)]
    assert sum(map(len, parts)) == len(set[str]().union(*parts)) == ROWS
    assert len(case.first) == 10 * len(LABELS)


def test_too_few_rows_for_a_test_are_refused() -> None:
    rows = [Example(f"text {at}", LABELS[at % 3]) for at in range(400)]
    with pytest.raises(BadInput, match=r"leave 70 for the test"):
        build("toy", rows, first=10, requests=300, seed=1)


def test_the_table_says_where_search_is_not_ahead(finished: Benches) -> None:
    content = finished.results.content
    for row in content["rows"]:
        row["accuracy"] = {"search": 0.9, "fixed": 0.8, "random": 0.95}[row["strategy"]]
    table = report(content)
    assert "search beats fixed, +10.00 points in the mean; ahead in 1 of 1 seeds" in table
    assert "search does not beat random, -5.00 points" in table
    # A seed that is not finished, or whose budgets are several, says nothing yet.
    unequal = [
        row | {"budget": row["budget"] + (row["strategy"] == "random")} for row in content["rows"]
    ]
    assert "beat" not in report(content | {"rows": unequal})
    content["rows"] = [row for row in content["rows"] if row["strategy"] != "fixed"]
    assert "beat" not in report(content)


def test_trainings_are_kept_under_what_they_were_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from types import ModuleType

    calls: list[int] = []

    def train_together(spec: Any, candidates: Any, *_: Any, **__: Any) -> list[Outcome]:
        calls.append(len(candidates))
        return [
            TrainedCandidate(
                id=c.id,
                recipe=c.recipe,
                adapter=spec.training_set,
                final_loss=0.0,
                train_seconds=1.0,
                examples_per_second=1.0,
            )
            for c in candidates
        ]

    fake = ModuleType("shared.jobs.train")
    fake.train_together = train_together  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "shared.jobs.train", fake)
    grid = RecipeGrid()
    recipes = [*grid.with_blends(grid.first("minilm", Method.FULL))]
    recipes.append(grid.first("minilm", Method.LORA))
    task = Task(kind="classification", labels=LABELS)  # pyright: ignore[reportArgumentType]

    def recipes_of(rows: bytes) -> list[Recipe]:
        workshop = LocalWorkshop(tmp_path)
        training_set = workshop.artifacts.put(rows, name="training.jsonl")
        return [one.recipe for one in workshop.train(task, training_set, recipes, None)]

    assert recipes_of(b"rows") == recipes_of(b"rows") == recipes
    assert calls == [3, 1]
    assert recipes_of(b"other rows") == recipes
    assert calls == [3, 1, 3, 1]
