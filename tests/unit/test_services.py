"""The services by name."""

import subprocess
import sys

import pytest

from services import SERVICES, load, load_settings_class
from shared.errors import BadSettings
from shared.settings import ServiceSettings


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_found_by_name(name: str) -> None:
    kind, create_app = load(name)
    assert issubclass(kind, ServiceSettings)
    assert kind is load_settings_class(name)
    assert callable(create_app)


def test_ports_are_the_documented_ones() -> None:
    assert [entry.http_port for entry in SERVICES.values()] == [8101, 8102, 8103, 8104, 8105]


@pytest.mark.parametrize("name", ["console", "", "services.trainer"])
def test_an_unknown_name_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(BadSettings, match=r"choose one of diagnoser, synthesizer, trainer"):
        load(name)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_imported_without_models_or_its_neighbours(name: str) -> None:
    neighbours = [f"services.{other}" for other in SERVICES if other != name]
    unwanted = ["torch", "transformers", "peft", "ray", *neighbours]
    program = (
        "import sys, services; services.load(sys.argv[1]); "
        "sys.exit(', '.join(m for m in sys.argv[2:] if m in sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name, *unwanted],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
