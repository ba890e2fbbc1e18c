"""compose.yaml, Dockerfile and .env.example fit each other and the code.

The schema is compose-spec's own (tests/data/compose-spec.json, Apache-2.0), as check-jsonschema
0.39.0 ships it.
"""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from examples.serving.settings import ServingSettings
from services import SERVICES, load_settings_class
from shared.settings import ServiceSettings, environment_name, load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
PARTS: dict[str, Any] = COMPOSE["services"]
RAY = ("ray-head", "ray-worker")
OURS = (*SERVICES, *RAY, "serving")
# Read by huggingface_hub and by Ray itself, not by our settings.
HUB = {"HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"}
# ${NAME}, ${NAME:-default} or ${NAME:?message}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def filled(value: Any) -> str:
    """A value as Compose gives it to a container whose .env holds only the required secrets."""

    def replaced(found: re.Match[str]) -> str:
        return found["rest"] if found["kind"] == "-" else "secret"

    return VARIABLE.sub(replaced, str(value))


def set_variables(part: str) -> dict[str, str]:
    """The variables a part gets when .env holds only the required secrets."""
    environment = PARTS[part]["environment"]
    return {name: filled(value) for name, value in environment.items() if value is not None}


def readable(kind: type[BaseSettings]) -> dict[str, str]:
    """Every variable a settings class reads, with its field."""
    names = {environment_name(kind, field): field for field in kind.model_fields}
    for field, info in kind.model_fields.items():
        if isinstance(info.validation_alias, AliasChoices):
            names |= {str(choice): field for choice in info.validation_alias.choices}
    return names


def published(part: str) -> list[tuple[str, int, int]]:
    """Address, port outside and port inside."""
    split = (filled(port).split(":") for port in PARTS[part]["ports"])
    return [(address, int(outside), int(inside)) for address, outside, inside in split]


def health_urls(part: str) -> list[Any]:
    return [urlsplit(a) for a in PARTS[part]["healthcheck"]["test"] if a.startswith("http://")]


def options(part: str) -> dict[str, str]:
    """``--name=value`` of a part's command."""
    return dict(a.removeprefix("--").split("=", 1) for a in PARTS[part]["command"] if "=" in a)


def env_of(part: dict[str, Any]) -> dict[str, Any]:
    return part.get("environment", {})


def stage(name: str) -> str:
    """The lines of one stage of the Dockerfile."""
    found = re.search(rf"^FROM (?:\S+) AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S)
    assert found, f"no stage {name} in the Dockerfile"
    return found[1]


def test_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    problems = jsonschema.Draft202012Validator(schema).iter_errors(COMPOSE)
    assert [f"{p.json_path}: {p.message}" for p in problems] == []


def test_runs_every_service_of_the_code() -> None:
    commands = [part.get("command", []) for part in PARTS.values()]
    assert [c[1] for c in commands if c[:1] == ["run"]] == list(SERVICES)
    assert all(PARTS[name]["command"] == ["run", name] for name in SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_sets_no_variable_that_a_service_does_not_read(name: str) -> None:
    unread = set(PARTS[name]["environment"]) - set(readable(load_settings_class(name)))
    assert unread == set(), "not read by its settings"


@pytest.mark.parametrize("name", SERVICES)
def test_every_setting_of_a_services_own_can_be_set_in_env(name: str) -> None:
    kind = load_settings_class(name)
    own = set(kind.model_fields) - set(ServiceSettings.model_fields)
    assert {environment_name(kind, field) for field in own} <= set(PARTS[name]["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_services_variables_make_valid_settings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = load_settings_class(name)
    for variable in readable(kind):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in set_variables(name).items():
        monkeypatch.setenv(variable, value)
    settings = load_settings(kind)
    assert settings.ray_token == "secret"
    assert settings.max_message_bytes == ServiceSettings.model_fields["max_message_bytes"].default


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_asked_where_the_service_answers(name: str) -> None:
    port = SERVICES[name].http_port
    (url,) = health_urls(name)
    assert (url.hostname, url.port, url.path) == ("127.0.0.1", port, "/health/ready")
    assert published(name) == [("127.0.0.1", port, port)]
    assert "PIONEER_HTTP_PORT" not in PARTS[name]["environment"], "the default is in services"


def test_serving_gets_only_variables_it_reads_and_all_it_needs() -> None:
    names = readable(ServingSettings)
    variables = set(PARTS["serving"]["environment"]) - HUB
    assert variables <= set(names)
    needed = {f for f, info in ServingSettings.model_fields.items() if info.is_required()}
    assert needed <= {names[variable] for variable in set(set_variables("serving")) & set(names)}
    port = ServingSettings.model_fields["serving_port"].default
    assert [url.port for url in health_urls("serving")] == [port]
    assert published("serving") == [("127.0.0.1", port, port)]
    assert PARTS["serving"]["profiles"] == ["serving"]


def test_everything_sees_artifacts_at_the_same_place() -> None:
    uris = {v["ARTIFACTS_URI"] for p in PARTS.values() if "ARTIFACTS_URI" in (v := env_of(p))}
    assert len(uris) == 1
    folder = urlsplit(uris.pop()).path
    for part in OURS:
        mounts = dict(v.split(":")[:2] for v in PARTS[part]["volumes"] if ":" in v)
        assert mounts["artifacts"] == folder, part
    assert f" {folder} " in stage("base"), "the image must own the folder a volume is mounted on"


def test_services_and_workers_reach_the_ray_head() -> None:
    head = options("ray-head")
    worker = options("ray-worker")
    assert worker["address"] == f"ray-head:{head['port']}"
    for name in SERVICES:
        address = urlsplit(set_variables(name)["RAY_ADDRESS"])
        assert (address.hostname, str(address.port)) == ("ray-head", head["dashboard-port"])
    asked = {url.port for url in health_urls("ray-head")}
    assert int(head["dashboard-port"]) in asked


def test_one_token_guards_the_cluster() -> None:
    tokens = {PARTS[part]["environment"]["RAY_AUTH_TOKEN"] for part in (*RAY, *SERVICES)}
    assert len(tokens) == 1
    assert {set_variables(part)["RAY_AUTH_MODE"] for part in RAY} == {"token"}


def test_images_are_built_for_what_they_run() -> None:
    targets = {part: PARTS[part]["build"]["target"] for part in OURS}
    assert targets == {
        **dict.fromkeys(SERVICES, "service"),
        **dict.fromkeys((*RAY, "serving"), "compute"),
    }
    assert len({PARTS[part]["image"] for part in OURS}) == 2
    assert '["optional-dependencies"]["compute"]' in stage("requirements")
    assert "--requirement compute.txt" in stage("compute-packages")
    assert "compute.txt" not in stage("service-packages"), "the service image must stay light"


@pytest.mark.parametrize("package", ["shared/jobs", "examples/serving"])
def test_the_compute_image_has_what_its_code_imports(package: str) -> None:
    installed = closure([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["compute"]])
    distributions = packages_distributions()
    for name in third_party(ROOT / package):
        provided = {canonicalize_name(d) for d in distributions.get(name, [name])}
        assert provided & installed, f"{package} imports {name}: add it to the compute extra"


def third_party(folder: Path) -> set[str]:
    """Names of the foreign packages that the modules of a folder import."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    ours = {"shared", "services", "examples", "bench"}
    return found - ours - set(sys.stdlib_module_names)


def closure(requirements: list[str]) -> set[str]:
    """The distributions that installing these requirements brings."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found and not wanted.extras:
            continue
        found.add(name)
        waiting += requirements_of(wanted)
    return found


def requirements_of(wanted: Requirement) -> Iterator[Requirement]:
    try:
        texts = requires(wanted.name) or []
    except PackageNotFoundError:
        return
    for needed in map(Requirement, texts):
        extras = wanted.extras or {""}
        if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
            yield needed


def test_kafka_takes_what_the_services_send() -> None:
    kafka = PARTS["kafka"]["environment"]
    limits = {PARTS[name]["environment"]["PIONEER_MAX_MESSAGE_BYTES"] for name in SERVICES}
    assert limits == {kafka["KAFKA_MESSAGE_MAX_BYTES"]}
    inside = {set_variables(name)["KAFKA_BOOTSTRAP_SERVERS"] for name in (*SERVICES, "serving")}
    assert inside == {"kafka:9092"}
    assert "INSIDE://kafka:9092" in filled(kafka["KAFKA_ADVERTISED_LISTENERS"])
    assert PARTS["kafka"]["healthcheck"]["test"][-1].endswith(":9092")


@pytest.mark.parametrize("part", PARTS)
def test_image_versions_are_pinned(part: str) -> None:
    _, _, tag = filled(PARTS[part]["image"]).rpartition(":")
    assert re.fullmatch(r"\d+\.\d+[\w.-]*", tag), f"{part}: {tag!r} is not a version"


def test_the_base_image_is_pinned_and_has_a_supported_python() -> None:
    base = re.search(r"ARG PYTHON_IMAGE=python:(\d+\.\d+)-slim-\w+", DOCKERFILE)
    assert base
    assert f"{base[1]}.0" in SpecifierSet(PROJECT["requires-python"])


def test_waiting_is_for_parts_that_say_when_they_are_healthy() -> None:
    for part, spec in PARTS.items():
        assert "healthcheck" in spec, part
        assert spec["restart"] == "unless-stopped", part
        for needed, how in spec.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, f"{part} needs {needed}"
    for name in SERVICES:
        assert set(PARTS[name]["depends_on"]) == {"kafka", "mongo", "ray-head"}


def test_ours_run_without_root_capabilities_or_a_writable_image() -> None:
    for part in OURS:
        spec = PARTS[part]
        assert spec["read_only"] is True, part
        assert spec["cap_drop"] == ["ALL"], part
    for target in ("service", "compute"):
        assert "USER pioneer\n" in stage(target)


def test_only_this_machine_reaches_the_ports() -> None:
    for part in (name for name, spec in PARTS.items() if "ports" in spec):
        assert {address for address, _, _ in published(part)} == {"127.0.0.1"}, part


def test_holds_no_secret() -> None:
    for part, spec in PARTS.items():
        for name, value in env_of(spec).items():
            if re.search("TOKEN|PASSWORD", name) and value is not None:
                assert VARIABLE.fullmatch(value), f"{part} {name}"
                assert ":?" in value, f"{part} {name} must be required"
    assert not re.search(r"://\w+:(?!\$\{)[^/\s]*@", COMPOSE_TEXT), "a password in an address"
    assert re.findall(r"^(\w+)=(.+)$", ENV_EXAMPLE, re.M) == []


def test_env_example_names_every_variable_and_no_other() -> None:
    offered = re.findall(r"^#?(\w+)=", ENV_EXAMPLE, re.M)
    interpolated = {found["name"] for found in VARIABLE.finditer(COMPOSE_TEXT)}
    passed_on = {n for p in PARTS.values() for n, value in env_of(p).items() if value is None}
    assert len(offered) == len(set(offered))
    assert interpolated <= set(offered)
    assert set(offered) <= interpolated | passed_on
    defaults = dict(re.findall(r"^#(\w+)=(.*)$", ENV_EXAMPLE, re.M))
    for found in VARIABLE.finditer(COMPOSE_TEXT):
        if found["kind"] == "-":
            assert defaults[found["name"]] == found["rest"], found["name"]


def test_the_builder_gets_what_the_dockerfile_copies() -> None:
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    assert {name for line in copied for name in line.split()} == set(sent)
