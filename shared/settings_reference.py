"""Every setting as a table: ``python -m shared.settings_reference > docs/settings.md``."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services import SERVICES, load_settings_class
from shared.settings import ServiceSettings, environment_name

INTRODUCTION = """\
# Settings

Every setting is an environment variable. A missing or wrong one stops the service at its start,
with a sentence that names the variable and the remedy. This page is generated:
`python -m shared.settings_reference > docs/settings.md`.
"""
HEAD = "| variable | value | default | what it does |\n|---|---|---|---|"
# How a constraint's attribute is written; a field has some of them.
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "pattern": "`{}`"}
NAMES: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "secret",
}


def reference() -> str:
    """The page: common settings first, then what each service adds."""
    common = set(ServiceSettings.model_fields)
    sections = [INTRODUCTION, _section("Every service", ServiceSettings, common)]
    for name in SERVICES:
        kind = load_settings_class(name)
        sections.append(_section(name.capitalize(), kind, set(kind.model_fields) - common))
    return "\n".join(sections)


def _section(title: str, kind: type[ServiceSettings], fields: Iterable[str]) -> str:
    rows = [_row(kind, field) for field in kind.model_fields if field in fields]
    body = "\n".join([HEAD, *rows]) if rows else "None besides those of every service."
    return f"## {title}\n\n{body}\n"


def _row(kind: type[ServiceSettings], field: str) -> str:
    info = kind.model_fields[field]
    cells = (
        f"`{environment_name(kind, field)}`",
        ", ".join([_type_name(info.annotation), *_bounds(info)]),
        _default(info),
        info.description or "",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type_name(annotation: Any) -> str:
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_type_name(a) for a in arguments if a is not NoneType)
    return NAMES[annotation]


def _bounds(info: FieldInfo) -> Iterator[str]:
    for constraint in info.metadata:
        for name, words in BOUNDS.items():
            if (value := getattr(constraint, name, None)) is not None:
                yield words.format(_number(value))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    if info.default is None:
        return "not set"
    return f"`{_number(info.default)}`"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(reference())


if __name__ == "__main__":
    main()
