"""The five rooms of the house, by name; each is imported only when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from shared.errors import BadSettings

if TYPE_CHECKING:
    from faststream.asgi import AsgiFastStream

    from shared.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """Where a service's settings class and app factory are, and the port it answers on."""

    name: str
    settings: str
    app: str
    http_port: int


SERVICES: dict[str, ServiceEntry] = {
    name: ServiceEntry(
        name=name,
        settings=f"services.{name}.settings:{name.capitalize()}Settings",
        app=f"services.{name}.app:create_app",
        http_port=port,
    )
    for name, port in (
        ("diagnoser", 8101),
        ("synthesizer", 8102),
        ("trainer", 8103),
        ("verifier", 8104),
        ("controller", 8105),
    )
}


def load(name: str) -> "tuple[type[ServiceSettings], Callable[[Any], AsgiFastStream]]":
    """A service's settings class and app factory. Raises BadSettings for a name that is none."""
    kind = load_settings_class(name)
    return kind, _resolve(SERVICES[name].app)


def load_settings_class(name: str) -> "type[ServiceSettings]":
    """The settings class alone, without what the app imports. Raises as ``load``."""
    if name not in SERVICES:
        raise BadSettings(f"no service is named {name!r}: choose one of {', '.join(SERVICES)}")
    return _resolve(SERVICES[name].settings)


def _resolve(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
