"""Typed prompts for a chat model: what is asked in words, what must come back as a type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, model_validator

from shared.domain.fence import RULE, fence
from shared.domain.ids import content_digest, derive_id

# Servers refuse longer enumerations; the answer is checked against all choices anyway.
_ENUM_LIMIT = 250
# Keywords that the strict mode of servers does not take; validation here still heeds them.
_UNSUPPORTED = frozenset({"title", "default", "minLength", "maxLength"})
# English takes about four bytes a token, other scripts fewer.
_BYTES_PER_TOKEN = 3
_TEMPLATE_TOKENS = 32


def tidy(text: str, limit: int) -> str:
    """Printable words on one line, cut at ``limit`` characters: fit for people to read."""
    words = "".join(sign if sign.isprintable() else " " for sign in text).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


Remark = Annotated[str, AfterValidator(lambda text: tidy(text, 300))]


class Answer(BaseModel):
    """Base of what a prompt is answered with. Fields without defaults: strict schemas want all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _one_of_the_choices(self, info: ValidationInfo) -> Self:
        choices: Mapping[str, Sequence[str]] = info.context or {}
        for name in type(self).model_fields.keys() & choices.keys():
            value = getattr(self, name)
            if value is not None and value not in choices[name]:
                raise ValueError(f"{name} must be one of the {len(choices[name])} given values")
        return self


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True)
class Prompt(Generic[A]):
    """What is asked, in words that never change without a new ``version``."""

    name: str
    version: int
    system: str
    answer: type[A]
    max_tokens: int

    def about(
        self,
        subject: str,
        data: Sequence[tuple[str, str]],
        *,
        facts: str = "",
        choices: Mapping[str, tuple[str, ...]] | None = None,
    ) -> "Question[A]":
        """The prompt put about one thing. Text from outside goes into ``data``, and only there.

        ``subject`` is its id, for the record. ``facts`` are ours: labels, counts. ``choices`` are
        the values that fields of the answer may take, at any depth.
        """
        return Question(
            prompt=self,
            subject=subject,
            user="\n\n".join(part for part in (facts, fence(data)) if part),
            choices=dict(choices or {}),
        )


@dataclass(frozen=True, slots=True)
class Question(Generic[A]):
    """A prompt about one thing, ready to be asked; equal questions have equal ids."""

    prompt: Prompt[A]
    subject: str
    user: str
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def system(self) -> str:
        return f"{self.prompt.system}\n\n{RULE}\n\nAnswer with one JSON object and nothing else."

    @property
    def id(self) -> str:
        digest = content_digest([self.system, self.user, self.schema()])
        return derive_id("question", self.prompt.name, self.prompt.version, self.subject, digest)

    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer, within what strict modes of servers accept."""
        return _strict(self.prompt.answer.model_json_schema(), self.choices)

    def parse(self, text: str) -> A:
        """The answer. Raises Pydantic's ValidationError for anything but a valid one."""
        return self.prompt.answer.model_validate_json(text, context=self.choices)

    def estimate(self) -> int:
        """About how many tokens the question itself takes."""
        return (
            ceil(len((self.system + self.user).encode(errors="replace")) / _BYTES_PER_TOKEN)
            + _TEMPLATE_TOKENS
        )


def _strict(schema: dict[str, Any], choices: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Without unsupported keywords, every property required, choices as enumerations."""
    strict: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            strict[key] = {
                name: _narrow(_strict(part, choices), choices.get(name, ()))
                if key == "properties"
                else _strict(part, choices)
                for name, part in value.items()
            }
        elif key not in _UNSUPPORTED:
            strict[key] = _strict_part(value, choices)
    if "properties" in strict:
        strict["required"] = list(strict["properties"])
    return strict


def _strict_part(value: Any, choices: Mapping[str, tuple[str, ...]]) -> Any:
    if isinstance(value, dict):
        return _strict(value, choices)
    if isinstance(value, list):
        return [_strict_part(part, choices) for part in value]
    return value


def _narrow(part: dict[str, Any], values: tuple[str, ...]) -> dict[str, Any]:
    if not values or len(values) > _ENUM_LIMIT:
        return part
    if "anyOf" in part:
        return {**part, "anyOf": [_narrow(option, values) for option in part["anyOf"]]}
    return {**part, "enum": list(values)} if part.get("type") == "string" else part
