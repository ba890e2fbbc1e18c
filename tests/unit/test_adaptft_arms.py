"""What each arm takes of a log, how it is scored, and how results are kept."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.adaptft.arms import (
    ALL_ARMS,
    ARMS,
    StageOutcome,
    clean,
    naive,
    naive_oracle,
    perfect_filter,
    random_augmentation,
    run_arm,
)
from bench.adaptft.logs import Logged, ScenarioData, build, judged, never_corrected
from bench.adaptft.phrases import Templates
from bench.adaptft.plot import plot
from bench.adaptft.results import Results, digest_of, stage_row, triage_rows
from bench.adaptft.scenarios import SCENARIOS, load_rows, quick
from bench.adaptft.scoring import found_poison, score
from bench.adaptft.tables import Runs, goals, report
from bench.adaptft.training import Checkpoint
from shared.domain.artifacts import ArtifactRef
from shared.domain.pipeline import Recipe
from shared.domain.rows import Row
from shared.domain.tasks import Task
from shared.errors import BadInput
from shared.job_specs import TrainedCandidate

DESK = SCENARIOS["support_desk"]
DATA = build(
    "support_desk",
    load_rows(DESK, Path()),
    quick(DESK).sizes,
    seed=101,
    templates=Templates.DEVELOPMENT,
)
REF = ArtifactRef("file:///none", "0" * 64)


class FakeTrainer:
    """Answers with the first label that it was trained on, and remembers what it was given."""

    def __init__(self) -> None:
        self.trained: list[tuple[Row, ...]] = []

    def train(self, rows: Sequence[Row], task: Task, recipe: Recipe) -> Checkpoint:
        self.trained.append(tuple(rows))
        done = TrainedCandidate(
            id="c",
            recipe=recipe,
            adapter=REF,
            final_loss=0.1,
            train_seconds=1.0,
            examples_per_second=1.0,
        )
        return Checkpoint(done, tuple(rows), REF)

    def predict(self, checkpoint: Checkpoint, texts: Sequence[str]) -> tuple[str, ...]:
        return (checkpoint.rows[-1].target,) * len(texts)


def log_of(stage: int, output: str = "") -> list[Logged]:
    rows = DATA.stages[stage].train
    return judged(rows, [output or DATA.labels[0] for _ in rows])


LOGS = [log_of(1), log_of(2)]
EVERY = [one for log in LOGS for one in log]


def test_the_naive_arm_takes_everything_as_it_was_corrected() -> None:
    taken = {row.id: row.target for row in naive(DATA, LOGS).rows}
    assert taken == {one.row.id: one.corrected or one.output for one in EVERY}
    assert any(one.corrected is None for one in EVERY)


def test_the_oracle_knows_the_truth_of_everything() -> None:
    taken = {row.id: row.target for row in naive_oracle(DATA, LOGS).rows}
    assert taken == {one.row.id: one.row.truth for one in EVERY}


def test_the_clean_arm_takes_rows_that_nothing_was_done_to() -> None:
    taken = {row.id for row in clean(DATA, LOGS).rows}
    assert taken == {one.row.id for one in EVERY if not one.row.flags}
    assert 0 < len(taken) < len(EVERY)


def test_the_perfect_filter_takes_all_but_poison_with_the_truth() -> None:
    taken = perfect_filter(DATA, LOGS)
    assert {row.id: row.target for row in taken.rows} == {
        one.row.id: one.row.truth for one in EVERY if not one.row.poison
    }
    assert taken.quarantined == {one.row.id for one in LOGS[-1] if one.row.poison}


def test_random_augmentation_alters_the_clean_pool_only() -> None:
    rows = random_augmentation(DATA, LOGS).rows
    assert len(rows) == len(EVERY)
    assert rows == random_augmentation(DATA, LOGS).rows
    assert {row.target for row in rows} <= set(DATA.labels)
    words = {word for row in DATA.clean for word in row.text.split()}
    assert {word for row in rows for word in row.text.split()} <= words
    assert len({row.text for row in rows} - {row.text for row in DATA.clean}) > len(rows) / 2


def test_an_arm_is_logged_with_its_own_answers_and_trains_on_all_stages() -> None:
    trainer: Any = FakeTrainer()
    first = trainer.train(DATA.clean, DATA.task, DATA.recipe)
    outcomes = list(run_arm(naive, DATA, first, trainer))
    assert [outcome.stage for outcome in outcomes] == [1, 2]
    assert all(len(outcome.outputs) == len(DATA.test) for outcome in outcomes)
    _, one, two = trainer.trained
    assert one[: len(DATA.clean)] == DATA.clean
    assert two[: len(one)] == one
    # Rows that nobody corrected carry the answer of the model that served them.
    answer = DATA.clean[-1].target
    uncorrected = {each.row.id for each in log_of(1, answer) if each.corrected is None}
    assert uncorrected
    assert {row.target for row in one if row.id in uncorrected} == {answer}


def test_scores_are_of_all_noisy_and_clean_rows() -> None:
    truth = [row.truth for row in DATA.test]
    assert score(DATA, truth).overall == 1.0
    half = [row.truth if row.noisy else "wrong" for row in DATA.test]
    found = score(DATA, half)
    assert (found.noisy, found.clean) == (1.0, 0.0)
    noisy = sum(row.noisy for row in DATA.test)
    assert found.overall == pytest.approx(noisy / len(DATA.test))
    assert all(row.answerable for row in DATA.test)


def test_poison_found_counts_false_alarms_only_of_rows_without_poison() -> None:
    rows = DATA.stages[2].train
    flips = frozenset(row.id for row in rows if "label_flip" in row.flags)
    good = [row.id for row in rows if not row.poison][:3]
    of = {found.family: found for found in found_poison(rows, flips | set(good))}
    assert of["label_flip"].recall == 1.0
    assert of["label_flip"].precision == pytest.approx(len(flips) / (len(flips) + 3))
    corrected = [row for row in rows if row.poison and not never_corrected(row)]
    assert of["poison"].recall == pytest.approx(len(flips) / len(corrected))
    assert {one.corrected for one in judged(rows, [row.truth for row in rows])} >= {None}
    assert 0 < len(corrected) < sum(row.poison for row in rows)
    assert of["poison"].false == 3


def kept(results: Results, data: ScenarioData, arm: str, scores: Sequence[float]) -> None:
    """Rows of an arm that answers a share of the test rightly after each stage."""
    for stage, share in enumerate(scores):
        right = round(share * len(data.test))
        outputs = tuple(row.truth if at < right else "wrong" for at, row in enumerate(data.test))
        train = data.stages[stage].train
        held = frozenset(row.id for row in train if row.poison) if stage else None
        outcome = StageOutcome(stage, outputs, True, held)
        results.add(stage_row(data, arm, outcome), triage_rows(data, arm, outcome))


def test_results_survive_a_restart_and_are_void_for_other_data(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "adaptft.json"
    results = Results(file)
    results.describe("python -m bench.adaptft", {"sizes": {"a": 1}})
    kept(results, DATA, "naive", [0.5, 0.6])
    again = Results(file)
    assert again.finished("support_desk", 101, "naive", digest_of(DATA)) == {0, 1}
    assert not again.finished("support_desk", 101, "naive", "other")
    assert not again.finished("support_desk", 1, "naive", digest_of(DATA))
    before = file.read_bytes()
    kept(again, DATA, "naive", [0.5, 0.6])
    assert file.read_bytes() == before
    again.describe("python -m bench.adaptft b", {"sizes": {"b": 2}})
    assert again.content["config"]["sizes"] == {"a": 1, "b": 2}
    assert again.content["commands"] == {
        "a": "python -m bench.adaptft",
        "b": "python -m bench.adaptft b",
    }


def test_a_broken_results_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "adaptft.json"
    file.write_text("{")
    with pytest.raises(BadInput, match=r"adaptft\.json: not JSON"):
        Results(file)


def full_results(tmp_path: Path, agent: Sequence[float], ceiling: float = 0.9) -> Results:
    results = Results(tmp_path / "adaptft.json")
    results.describe("python -m bench.adaptft support_desk", {"sizes": {}})
    paths = {arm: [0.5, 0.6, 0.7] for arm in ARMS} | {
        "agent": agent,
        "naive": [0.5, 0.5, 0.4],
        "perfect-filter": [0.5, 0.7, ceiling],
    }
    for arm, path in paths.items():
        kept(results, DATA, arm, path)
    return results


def test_goals_are_met_or_missed_by_what_was_measured(tmp_path: Path) -> None:
    results = full_results(tmp_path, [0.5, 0.7, 0.88])
    verdicts = {goal.name: goal.passed for goal in goals(results.content)}
    assert verdicts["agent over stages"] is True
    assert verdicts["share of the reachable gap closed, last stage"] is True
    assert verdicts["agent less `naive-cleanlab`, points"] is True
    assert verdicts["poison quarantined, last stage: recall, mean of the scenarios"] is True
    assert verdicts["wrong labels found, uniform: F1"] is None


def test_a_fall_and_an_open_gap_are_misses(tmp_path: Path) -> None:
    results = full_results(tmp_path, [0.5, 0.7, 0.6])
    verdicts = {goal.name: (goal.passed, goal.found) for goal in goals(results.content)}
    passed, found = verdicts["agent over stages"]
    assert passed is False and found.startswith("support_desk seed 101 by ")
    assert verdicts["share of the reachable gap closed, last stage"][0] is False
    assert verdicts["agent less `naive-cleanlab`, points"][0] is False


def test_a_gap_that_is_not_there_is_not_closed(tmp_path: Path) -> None:
    results = full_results(tmp_path, [0.5, 0.7, 0.88], ceiling=0.3)
    found = {goal.name: goal for goal in goals(results.content)}
    gap = found["share of the reachable gap closed, last stage"]
    assert gap.passed is None and "no gap" in gap.found


def test_the_report_shows_every_arm_and_the_picture_is_a_picture(tmp_path: Path) -> None:
    results = full_results(tmp_path, [0.5, 0.7, 0.88])
    text = report(results.content)
    assert all(f"| {arm} |" in text for arm in ALL_ARMS)
    path = [row["score"] for row in results.content["rows"] if row["arm"] == "agent"]
    assert " → ".join(f"{100 * value:.1f}" for value in path) in text
    assert "not run" in text
    pytest.importorskip("matplotlib")
    plot(results.content, tmp_path / "adaptft.png")
    assert (tmp_path / "adaptft.png").read_bytes().startswith(b"\x89PNG")


def test_results_without_rows_make_a_report(tmp_path: Path) -> None:
    results = Results(tmp_path / "adaptft.json")
    results.write()
    assert json.loads((tmp_path / "adaptft.json").read_text())["rows"] == []
    assert "not run" in report(results.content)


def test_rows_made_from_other_data_are_not_compared() -> None:
    def row(arm: str, stage: int, digest: str) -> dict[str, Any]:
        return {
            "scenario": "desk",
            "arm": arm,
            "seed": 1,
            "stage": stage,
            "score": 0.9,
            "digest": digest,
        }

    mine = [row("agent", stage, "small") for stage in (0, 1)]
    same = Runs([*mine, *(row("naive", stage, "small") for stage in (0, 1))])
    assert same.seeds("desk", "agent", "naive") == [1]
    other = Runs([*mine, *(row("naive", stage, "large") for stage in (0, 1))])
    assert other.seeds("desk", "agent", "naive") == []
    assert other.seeds("desk", "naive") == [1]
