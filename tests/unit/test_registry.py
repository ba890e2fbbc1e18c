"""The model registry: append-only, idempotent, and rollback leads where production was before."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.controller.domain.registry import (
    Checkpoint,
    ModelRecord,
    aliases,
    deployed,
    promote,
    register,
    roll_back,
)
from shared.domain.artifacts import ArtifactRef
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput, UnknownThing
from shared.events import ModelRegistered

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def ref(name: str) -> ArtifactRef:
    return ArtifactRef(f"file:///{name}", f"{name:0<64}"[:64])


def registration(
    id_: str = "reg-1", *, adapter: str = "a1", endpoint: str | None = None
) -> ModelRegistered:
    return ModelRegistered(
        id=id_,
        model="intent",
        task=Task(TaskKind.CLASSIFICATION, ("book", "cancel")),
        base_model="minilm",
        adapter=ref(adapter),
        endpoint=endpoint,
    )


def checkpoint(name: str, *, evaluation: str | None = None) -> Checkpoint:
    return Checkpoint(
        adapter=ref(f"adapter-{name}"),
        base_model="minilm",
        training_set=ref(f"training-{name}"),
        evaluation_set=ref(evaluation or f"evaluation-{name}"),
        heldout_score=0.9,
        run_id=f"run-{name}",
    )


def promoted(record: ModelRecord, name: str, *, evaluation: str | None = None) -> ModelRecord:
    point = checkpoint(name, evaluation=evaluation)
    return promote(record, point, cause=f"run-{name}", reason="better", now=NOW)


def rolled_back(record: ModelRecord, cause: str, to: int | None = None) -> ModelRecord:
    return roll_back(record, to, cause=cause, reason="worse in production", now=NOW)


def a_record() -> ModelRecord:
    return register(None, registration(), NOW)


def test_registered_model_is_version_one_and_served() -> None:
    record = a_record()
    assert aliases(record) == {"production": 1}
    assert deployed(record).version.adapter == ref("a1")
    assert [d.kind for d in record.deployments] == ["registered"]


def test_registering_again_changes_nothing_and_other_content_is_refused() -> None:
    record = promoted(a_record(), "x")
    assert register(record, registration(), NOW) is record
    assert register(record, registration("reg-2"), NOW) is record
    with pytest.raises(BadInput, match=r"'intent'.*another name"):
        register(record, registration("reg-3", adapter="a2"), NOW)


def test_the_endpoint_stays_that_of_the_registration() -> None:
    event = registration(endpoint="http://desk:8200/v1")
    record = promoted(register(None, event, NOW), "x")
    assert deployed(record).endpoint == "http://desk:8200/v1"
    assert register(record, event.model_copy(update={"id": "reg-2"}), NOW) is record
    with pytest.raises(BadInput, match="other content"):
        register(record, registration("reg-3", endpoint="http://other/v1"), NOW)


@pytest.mark.parametrize("endpoint", ["desk:8200", "ftp://desk", "http://", "http://a b/v1"])
def test_an_endpoint_is_an_http_address(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="endpoint"):
        registration(endpoint=endpoint)


def test_promotion_serves_the_next_version() -> None:
    record = promoted(a_record(), "x")
    assert aliases(record) == {"production": 2, "previous": 1}
    assert deployed(record).version.run_id == "run-x"


def test_rollback_leads_to_the_version_deployed_before_not_to_the_number_before() -> None:
    record = promoted(promoted(a_record(), "x"), "y")
    record = rolled_back(record, "r1")
    assert aliases(record) == {"production": 2, "previous": 1}
    record = promoted(record, "z")
    assert aliases(record) == {"production": 4, "previous": 2}
    assert aliases(rolled_back(record, "r2"))["production"] == 2


def test_a_second_rollback_goes_further_back_and_then_nothing_is_left() -> None:
    record = rolled_back(promoted(promoted(a_record(), "x"), "y"), "r1")
    record = rolled_back(record, "r2")
    assert aliases(record) == {"production": 1}
    with pytest.raises(BadInput, match="no version deployed before version 1"):
        rolled_back(record, "r3")


def test_rollback_to_a_named_version() -> None:
    record = promoted(promoted(a_record(), "x"), "y")
    assert aliases(rolled_back(record, "r1", 1)) == {"production": 1}
    redone = rolled_back(rolled_back(record, "r1"), "r2", 3)
    assert aliases(redone) == {"production": 3, "previous": 2}


def test_rollback_to_what_is_unknown_or_served_already() -> None:
    record = promoted(a_record(), "x")
    with pytest.raises(UnknownThing, match=r"no version 7.*\[1, 2\]"):
        rolled_back(record, "r1", 7)
    with pytest.raises(BadInput, match="served already"):
        rolled_back(record, "r1", 2)


def test_earlier_evaluations_are_all_that_exist_oldest_first_without_duplicates() -> None:
    record = promoted(promoted(promoted(a_record(), "x"), "y", evaluation="evaluation-x"), "z")
    record = rolled_back(record, "r1", 1)
    assert deployed(record).earlier_evaluations == (ref("evaluation-x"), ref("evaluation-z"))


def test_record_survives_json() -> None:
    record = rolled_back(promoted(a_record(), "x"), "r1")
    adapter = TypeAdapter(ModelRecord)
    assert adapter.validate_json(adapter.dump_json(record)) == record


Command = tuple[str, int | None]
causes = st.sampled_from([f"cause-{i}" for i in range(8)])
targets = st.none() | st.integers(0, 6)
commands = st.lists(
    st.tuples(causes, st.just(("promote", None)) | targets.map(lambda to: ("roll_back", to))),
    max_size=25,
)


def apply(record: ModelRecord, cause: str, command: Command, now: datetime) -> ModelRecord:
    kind, to = command
    try:
        if kind == "promote":
            return promote(record, checkpoint(cause), cause=cause, reason="better", now=now)
        return roll_back(record, to, cause=cause, reason="worse", now=now)
    except (BadInput, UnknownThing):
        return record


@given(commands)
def test_history_only_grows_and_the_last_deployment_is_served(
    drawn: list[tuple[str, Command]],
) -> None:
    record = a_record()
    for hours, (cause, command) in enumerate(drawn):
        after = apply(record, cause, command, NOW + timedelta(hours=hours))
        assert after.versions[: len(record.versions)] == record.versions
        assert after.deployments[: len(record.deployments)] == record.deployments
        assert len(after.deployments) - len(record.deployments) in {0, 1}
        assert deployed(after).version.number == after.deployments[-1].version
        assert aliases(after)["production"] == after.deployments[-1].version
        record = after
    assert [v.number for v in record.versions] == list(range(1, len(record.versions) + 1))
    assert [d.number for d in record.deployments] == list(range(1, len(record.deployments) + 1))
    made = [d.cause for d in record.deployments]
    assert len(set(made)) == len(made)


@given(commands, st.randoms(use_true_random=False), commands)
def test_repeats_in_any_order_change_nothing(
    drawn: list[tuple[str, Command]], random: Random, other: list[tuple[str, Command]]
) -> None:
    record = a_record()
    for cause, command in drawn:
        record = apply(record, cause, command, NOW)
    # A repeat may even carry other content: the cause alone tells that it is one.
    seen = {d.cause for d in record.deployments}
    repeats = [(cause, command) for cause, command in (*drawn, *drawn, *other) if cause in seen]
    random.shuffle(repeats)
    for cause, command in repeats:
        assert apply(record, cause, command, NOW + timedelta(days=1)) is record
    assert register(record, registration(), NOW + timedelta(days=1)) is record


@given(commands)
def test_previous_is_where_a_rollback_leads(drawn: list[tuple[str, Command]]) -> None:
    record = a_record()
    for cause, command in drawn:
        record = apply(record, cause, command, NOW)
    before = aliases(record).get("previous")
    if before is None:
        with pytest.raises(BadInput):
            rolled_back(record, "new")
    else:
        assert aliases(rolled_back(record, "new"))["production"] == before


def test_other_task_under_the_same_name_is_refused() -> None:
    other = registration("reg-2").model_copy(
        update={"task": Task(TaskKind.CLASSIFICATION, ("book", "cancel", "greet"))}
    )
    with pytest.raises(BadInput):
        register(a_record(), other, NOW)
