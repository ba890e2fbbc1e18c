"""Settings: documented, refused with a sentence, silent about secrets."""

from pathlib import Path

import pytest

from services import SERVICES, load_settings_class
from shared.errors import BadSettings
from shared.settings import ServiceSettings, environment_name, load_settings
from shared.settings_reference import reference

ROOT = Path(__file__).parents[2]
KINDS = [ServiceSettings, *(load_settings_class(name) for name in SERVICES)]
REQUIRED = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "MONGODB_URI": "mongodb://user:hunter2@mongo:27017",
    "RAY_ADDRESS": "http://ray-head:8265",
    "ARTIFACTS_URI": "file:///artifacts",
}
SECRETS = {"KAFKA_SASL_PASSWORD": "hunter2", "RAY_AUTH_TOKEN": "hunter2"}


@pytest.fixture(autouse=True)
def _only_required(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        for field in kind.model_fields:
            monkeypatch.delenv(environment_name(kind, field), raising=False)
    for variable, value in REQUIRED.items():
        monkeypatch.setenv(variable, value)


def test_the_page_is_current() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    assert page == reference(), "run: python -m shared.settings_reference > docs/settings.md"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_and_in_the_page(kind: type[ServiceSettings]) -> None:
    page = reference()
    for name, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{name}"
        assert f"| `{environment_name(kind, name)}` |" in page


def test_services_that_share_a_variable_agree_on_it() -> None:
    defaults: dict[str, set[object]] = {}
    for kind in KINDS:
        for name, field in kind.model_fields.items():
            defaults.setdefault(environment_name(kind, name), set()).add(field.default)
    assert {variable: d for variable, d in defaults.items() if len(d) > 1} == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variable", REQUIRED)
def test_a_missing_variable_is_named_with_the_remedy(
    kind: type[ServiceSettings], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(BadSettings) as refused:
        load_settings(kind)
    field = {environment_name(kind, f): i for f, i in kind.model_fields.items()}[variable]
    assert str(refused.value) == f"{variable}: is not set. {field.description}"


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in REQUIRED:
        monkeypatch.delenv(variable)
    with pytest.raises(BadSettings) as refused:
        load_settings(ServiceSettings)
    assert all(f"{variable}: is not set" in str(refused.value) for variable in REQUIRED)


@pytest.mark.parametrize(
    ("service", "variable", "value"),
    [
        ("diagnoser", "PIONEER_MIN_FAILURES", "3"),
        ("diagnoser", "PIONEER_HELDOUT_SHARE", "1"),
        ("diagnoser", "PIONEER_REGRESSION_SHARE", "0.1"),
        ("synthesizer", "PIONEER_LOG_LEVEL", "LOUD"),
        ("trainer", "PIONEER_JOB_ATTEMPTS", "0"),
        ("trainer", "PIONEER_HTTP_PORT", "70000"),
        ("verifier", "PIONEER_EPSILON", "few"),
        ("verifier", "KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("controller", "PIONEER_TARGET", "96"),
        ("controller", "PIONEER_MAX_MESSAGE_BYTES", "1"),
        ("controller", "MONGODB_DATABASE", "a b"),
        ("controller", "ARTIFACTS_URI", "/artifacts"),
    ],
)
def test_a_wrong_value_names_its_variable_and_what_it_is_for(
    service: str, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = load_settings_class(service)
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as refused:
        load_settings(kind)
    described = {environment_name(kind, f): i.description for f, i in kind.model_fields.items()}
    assert str(refused.value).startswith(f"{variable}: ")
    assert str(refused.value).endswith(str(described[variable]))


@pytest.mark.parametrize(
    "address", ["ray://head:10001", "head:6379", "auto", "grpc://head:8265", ""]
)
def test_an_address_that_is_not_the_jobs_api_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(BadSettings, match=r"^RAY_ADDRESS: .*http://ray-head:8265"):
        load_settings(ServiceSettings)


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_are_not_shown(
    kind: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings(kind)
    assert settings.ray_token == "hunter2"
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_secrets_are_not_in_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PIONEER_HTTP_PORT", "hunter")
    monkeypatch.delenv("ARTIFACTS_URI")
    with pytest.raises(BadSettings) as refused:
        load_settings(ServiceSettings)
    told = "".join(str(e) for e in (refused.value, refused.value.__cause__))
    assert "hunter2" not in told
    assert refused.value.__suppress_context__, "the error below holds the input"


def test_the_token_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(BadSettings, match=r"^RAY_AUTH_TOKEN_PATH=.*readable file"):
        _ = load_settings(ServiceSettings).ray_token
    (tmp_path / "token").write_text("hunter2\n")
    assert load_settings(ServiceSettings).ray_token == "hunter2"
