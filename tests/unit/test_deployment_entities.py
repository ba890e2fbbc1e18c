"""A deployment that names entities: its rows, and what its figures count."""

import json
from pathlib import Path

import pytest

from bench.deployment.entities import EntitySetting, build_entities
from bench.deployment.entity_figures import Gold, entity_figures
from bench.deployment.story import Answers, Told
from shared.domain.evaluation import EvaluationReport, SetReport
from shared.domain.rows import Role, TrainingRow
from shared.domain.tasks import TaskKind
from shared.errors import BadInput

SETTING = EntitySetting(first_rows=3, requests=8, test_rows=4)


def written(folder: Path, rows: int) -> Path:
    lines = [
        json.dumps({"tokens": ["Ada", "came", str(at)], "tags": ["B-PER", "O", "O"]})
        for at in range(rows)
    ]
    (folder / "train.jsonl").write_text("\n".join(lines))
    return folder


def test_first_rows_requests_and_test_share_nothing(tmp_path: Path) -> None:
    found = build_entities(written(tmp_path, 20), "names", SETTING, seed=1)
    assert (found.kind, found.labels) == (TaskKind.NER, ("PER",))
    parts = [[e.text for e in found.first], [r.text for r in found.requests]]
    parts.append([e.text for e in found.test])
    assert [len(part) for part in parts] == [3, 8, 4]
    assert len({text for part in parts for text in part}) == 15
    assert found == build_entities(tmp_path, "names", SETTING, seed=1)
    assert found != build_entities(tmp_path, "names", SETTING, seed=2)


def test_too_few_rows_and_tags_that_are_not_bio_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="3 rows are too few"):
        build_entities(written(tmp_path, 7), "names", SETTING, seed=1)
    (tmp_path / "train.jsonl").write_text('{"tokens": ["Ada"], "tags": ["I-PER"]}')
    with pytest.raises(BadInput, match=r"train\.jsonl:1: tag 1 is 'I-PER'"):
        build_entities(tmp_path, "names", SETTING, seed=1)


def test_figures_tell_the_log_from_what_was_never_trained_on(tmp_path: Path) -> None:
    deployment = build_entities(written(tmp_path, 20), "names", SETTING, seed=1)
    right = tuple(r.truth for r in deployment.requests)
    learned = deployment.requests[0]
    told = Told(
        before=Answers(("[]",) * 8, ("[]",) * 4),
        after=Answers((*right[:4], *("[]",) * 4), ("[]", *(e.label for e in deployment.test[1:]))),
        promoted=True,
        reason="",
        recipe=None,
        iterations=1,
        trained=(TrainingRow("x", learned.text.upper(), "[]", Role.GOLD, "failure", ""),),
        measured=(),
        triage={},
        seconds=1.0,
        report=EvaluationReport(
            "c1", SetReport("heldout", 3, 0, 2, ()), SetReport("passes", 4, 4, 3, ("p",)), (), 0.5
        ),
    )
    gold = Gold(tuple(e.label for e in deployment.test), rows=11, seconds=2.0)
    found = entity_figures(deployment, told, gold)
    assert (found.log.rows, found.unseen.rows) == (8, 7)
    assert (found.log.f1_before, found.log.precision_after, found.log.recall_after) == (0.0, 1, 0.5)
    assert found.unseen.recall_after == round(3 / 7, 4)
    assert found.test.types_after == {"PER": (1.0, 0.75)}
    assert (found.gold_f1, found.of_gold) == (1.0, found.test.f1_after)
    assert (found.failures_before, found.failures_after) == (8, 4)
    assert found.regressions == 1
