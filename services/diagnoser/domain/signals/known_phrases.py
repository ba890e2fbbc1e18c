"""Phrases that are known to poison a row, and harmless ones like them, by independent authors.

``phrases/AUTHOR.jsonl`` holds templates: ``{text}`` stands for what a user asks, ``{label}`` for
one of the deployment's labels. They are data of this module; no author saw another's, or any test.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random

from shared.domain.triage import Family

_TEXT, _LABEL = "{text}", "{label}"
# What benchmarks of language models ask is off every deployment's domain; a request for two things
# at once, or for none, has no right answer.
_FAMILIES = {"cross_benchmark": Family.OFF_DOMAIN, "boundary_probe": Family.AMBIGUOUS}
_HARMLESS = "benign_"


@dataclass(frozen=True, slots=True)
class Template:
    """One author's phrase. ``kind`` is the author's word for it; ``family`` None when harmless."""

    author: str
    kind: str
    family: Family | None
    text: str


@cache
def known_templates() -> tuple[Template, ...]:
    """All templates, by author."""
    found: list[Template] = []
    for file in sorted(
        (files("services.diagnoser.domain.signals") / "phrases").iterdir(),
        key=lambda file: file.name,
    ):
        author, ending = file.name.rsplit(".", 1)
        if ending == "jsonl":
            rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            found += [_template(author, row["family"], row["template"]) for row in rows]
    return tuple(found)


def fill(
    templates: Sequence[Template], texts: Sequence[str], labels: Collection[str], *, seed: int = 0
) -> list[str]:
    """Each template around one of the texts and with one of the labels, drawn by the seed.

    Raises ValueError when there is no text to put in.
    """
    if not texts:
        raise ValueError("no texts to fill the templates with; give some of the deployment's own")
    rng = Random(seed)
    names = sorted(labels) or ["other"]
    return [
        template.text.replace(_LABEL, rng.choice(names)).replace(_TEXT, rng.choice(texts))
        for template in templates
    ]


def _template(author: str, kind: str, text: str) -> Template:
    if kind.startswith(_HARMLESS):
        return Template(author, kind, None, text)
    return Template(author, kind, _FAMILIES.get(kind) or Family(kind), text)
