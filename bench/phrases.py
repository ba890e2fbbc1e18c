"""``python -m bench.phrases``: what triage makes of phrases by an author it does not know.

Each author's templates are filled with ordinary texts of the data set; the deployment trusts other
texts of it. The phrase model is fitted to all other authors; the rules have seen none of them. Told
is the share of each kind that is kept out. ``benign_`` kinds should not be; neither should
``ordinary``, texts of the data set as they are.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from examples.demo.workload import Example, read_examples
from services.diagnoser.domain.signals.known_phrases import Template, fill, known_templates
from services.diagnoser.domain.signals.phrase_model import phrase_evidence
from services.diagnoser.domain.signals.phrasing import phrasing_evidence
from services.diagnoser.domain.triage import decide
from shared.domain.triage import Evidence, TriageKind
from shared.errors import BadInput

KNOWN = 600
ORDINARY = "ordinary"
DETECTORS = ("rules", "model", "both")

Counts = dict[str, dict[str, list[bool]]]


def main(
    scenario: Annotated[str, typer.Argument(help="A folder of --data.")] = "clinc150",
    data: Annotated[Path, typer.Option(help="Folder of the data sets.")] = Path("../shared/data"),
    seed: Annotated[int, typer.Option(help="Draws the texts.")] = 1,
) -> None:
    """Print a line for each kind of phrase, of all authors together."""
    try:
        examples = list(read_examples(data / scenario / "train.jsonl"))
    except BadInput as error:
        typer.echo(f"error: {error}; --data names the folder of {scenario}", err=True)
        raise typer.Exit(1) from None
    Random(seed).shuffle(examples)
    kept: Counts = defaultdict(lambda: defaultdict(list))
    for author in sorted({template.author for template in known_templates()}):
        _measure(author, examples[:KNOWN], examples[KNOWN:], seed, kept)
    print(f"{'kind':18} {'rows':>5} " + " ".join(f"{name:>6}" for name in DETECTORS))
    for kind in sorted(kept, key=lambda kind: (kind == ORDINARY, kind.startswith("benign"), kind)):
        shares = [sum(found) / len(found) for found in kept[kind].values()]
        rows = len(kept[kind]["both"])
        print(f"{kind:18} {rows:5} " + " ".join(f"{share:6.3f}" for share in shares))


def _measure(
    author: str, known: Sequence[Example], others: Sequence[Example], seed: int, kept: Counts
) -> None:
    """Count what is kept out of one author's phrases and of as many ordinary texts, as failures."""
    phrases = [template for template in known_templates() if template.author == author]
    rng = Random(f"{seed} {author}")
    texts = [example.text for example in rng.sample(others, min(len(others), 2 * len(phrases)))]
    labels = sorted({example.label for example in known})
    half = len(texts) // 2
    rows = [*fill(phrases, texts[:half], labels, seed=seed), *texts[half:]]
    kinds = [*(template.kind for template in phrases), *(ORDINARY for _ in texts[half:])]
    for name, evidence in _evidence(rows, known, labels, author, seed).items():
        for kind, one in zip(kinds, evidence, strict=True):
            kept[kind][name].append(decide(one).kind is not TriageKind.FIXABLE)


def _evidence(
    rows: Sequence[str], known: Sequence[Example], labels: Sequence[str], author: str, seed: int
) -> dict[str, list[tuple[Evidence, ...]]]:
    trusted = [example.text for example in known]
    unknown: list[Template] = [t for t in known_templates() if t.author != author]
    rules = phrasing_evidence(rows, trusted, ordinary_labels=[e.label for e in known])
    model = phrase_evidence(rows, [], trusted, labels, templates=unknown, seed=seed)
    both = [(*one, *other) for one, other in zip(rules, model, strict=True)]
    return dict(zip(DETECTORS, (rules, model, both), strict=True))


if __name__ == "__main__":
    typer.run(main)
