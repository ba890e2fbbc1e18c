"""Data sets of the Hugging Face hub, through ``datasets``, which is asked for only here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from services.synthesizer.ports import DataSet
from shared.errors import BadInput

# How columns are called on the hub, by the name they have in our rows.
_COLUMNS = {
    "text": ("text", "sentence", "sms", "utterance", "content"),
    "label": ("label", "intent", "labels", "category"),
    "tokens": ("tokens", "words"),
    "tags": ("tags", "ner_tags"),
    "prompt": ("prompt", "question", "instruction"),
    "answer": ("answer", "response", "output", "completion"),
}
# What a prompt speaks of, in a column of its own.
_CONTEXTS = ("context", "input")
_FORMS = (("tokens", "tags"), ("text", "label"), ("prompt", "answer"))


class HuggingFaceCatalogue:
    """Downloads a data set and writes it as rows; the names of labels, not their numbers."""

    def load(self, name: str) -> DataSet:
        try:
            datasets: Any = import_module("datasets")
        except ImportError:
            raise BadInput(
                f"data set {name!r} needs the package datasets: install it beside the "
                "synthesizer, or give a local file with --data"
            ) from None
        try:
            # A data set of several configurations is none without one of them.
            parts: Mapping[str, Any] = datasets.load_dataset(*name.split(":", 1))
        except (OSError, ValueError, RuntimeError) as error:
            # Which configurations there are is in the second line.
            why = " ".join(str(error).split())[:300]
            raise BadInput(
                f"data set {name!r} cannot be loaded ({why}): check its name, its configuration "
                "(owner/name:configuration) and the network, or give a local file with --data"
            ) from error
        if "train" not in parts:
            raise BadInput(
                f"data set {name!r} has the parts {', '.join(parts)}: one named train is needed"
            )
        test = parts.get("test")
        return DataSet(
            rows=_lines(name, parts["train"]), test=b"" if test is None else _lines(name, test)
        )


def _lines(name: str, part: Any) -> bytes:
    columns = _columns(name, part.column_names)
    names = {ours: _names(part.features[theirs]) for ours, theirs in columns.items()}
    context = next((c for c in _CONTEXTS if "prompt" in columns and c in part.column_names), None)
    rows: Iterable[Mapping[str, Any]] = part
    lines: list[bytes] = []
    for row in rows:
        told = {ours: _named(row[theirs], names[ours]) for ours, theirs in columns.items()}
        if context and row[context]:
            told["prompt"] = f"{told['prompt']}\n\n{row[context]}"
        lines.append(json.dumps(told, ensure_ascii=False).encode() + b"\n")
    return b"".join(lines)


def _columns(name: str, there: Sequence[str]) -> dict[str, str]:
    for form in _FORMS:
        found = {ours: [c for c in _COLUMNS[ours] if c in there] for ours in form}
        if all(found.values()):
            return {ours: theirs[0] for ours, theirs in found.items()}
    raise BadInput(
        f"data set {name!r} has the columns {', '.join(there)}: text and label, tokens and tags, "
        "or prompt and answer are needed; write them to a file and give it with --data"
    )


def _names(feature: Any) -> Sequence[str] | None:
    """Names of numbered labels, of a column or of the lists in it."""
    inner = getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def _named(value: Any, names: Sequence[str] | None) -> Any:
    if names is None:
        return value
    return [names[one] for one in value] if isinstance(value, list) else names[value]
