"""``python -m bench.phrases``: how far the rules for phrases carry beyond what they know.

Each template of ``bench/phrases/*.jsonl`` is filled with an ordinary text of the data set; the
deployment knows other texts of it. Told is the share of each family that triage would keep out by
its phrasing alone. Families that other signals look for are not in question here.
"""

import json
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from examples.demo.workload import Example, read_examples
from services.diagnoser.domain.signals.phrasing import phrasing_evidence
from services.diagnoser.domain.triage import decide
from shared.domain.triage import TriageKind
from shared.errors import BadInput

FOLDER = Path(__file__).parent
FAMILIES = (
    "prompt_injection",
    "jailbreak",
    "false_premise",
    "meta_question",
    "assumed_context",
    "verbatim_recall",
    "benign_preamble",
    "benign_format",
    "benign_plain",
)
KNOWN = 600


def main(
    scenario: Annotated[str, typer.Argument(help="A folder of --data.")] = "clinc150",
    data: Annotated[Path, typer.Option(help="Folder of the data sets.")] = Path("../shared/data"),
    seed: Annotated[int, typer.Option(help="Draws the texts.")] = 1,
) -> None:
    """Print a line for each author and one for all."""
    try:
        texts = list(read_examples(data / scenario / "train.jsonl"))
    except BadInput as error:
        typer.echo(f"error: {error}; --data names the folder of {scenario}", err=True)
        raise typer.Exit(1) from None
    Random(seed).shuffle(texts)
    known, others = texts[:KNOWN], texts[KNOWN:]
    total: dict[str, list[bool]] = defaultdict(list)
    for file in sorted(FOLDER.glob("*.jsonl")):
        found = _kept_out(file, known, others, Random(seed))
        print(f"{file.stem:10} {_told(found)}")
        for family, kept in found.items():
            total[family] += kept
    print(f"{'all':10} {_told(total)}")


def _kept_out(
    file: Path, known: list[Example], others: list[Example], rng: Random
) -> dict[str, list[bool]]:
    templates = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    templates = [t for t in templates if t["family"] in FAMILIES]
    chosen = [rng.choice(others) for _ in templates]
    evidence = phrasing_evidence(
        [t["template"].replace("{text}", e.text) for t, e in zip(templates, chosen, strict=True)],
        [example.text for example in known],
        labels=[example.label for example in chosen],
        ordinary_labels=[example.label for example in known],
    )
    found: dict[str, list[bool]] = defaultdict(list)
    for template, one in zip(templates, evidence, strict=True):
        found[template["family"]].append(decide(one).kind is not TriageKind.FIXABLE)
    return found


def _told(found: dict[str, list[bool]]) -> str:
    return "  ".join(f"{f} {sum(found[f])}/{len(found[f])}" for f in FAMILIES)


if __name__ == "__main__":
    typer.run(main)
