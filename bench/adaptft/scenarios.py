"""The data sets of the benchmark, and how large each part is."""

from dataclasses import dataclass, replace
from pathlib import Path

from bench.adaptft.learning import CLASSIFIER, TAGGER, Learning, writer
from bench.adaptft.sources import read_source
from examples.demo.workload import SAMPLE, Example, confusable_labels
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.near_duplicates import group_near_duplicates
from shared.domain.tasks import TaskKind
from shared.errors import BadInput


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of each part. ``clean_per_label`` rows of each label train C1.

    Free answers are all of one label; a text of entities has the label of its first one.

    ``poison``: one share a stage, of its rows that carry at least one type of poison.
    """

    clean_per_label: int
    first_test: int = 150
    stage_rows: int = 500
    train_share: float = 0.7
    poison: tuple[float, ...] = (0.15, 0.25, 0.40)

    @property
    def stage_train(self) -> int:
        """Rows of a stage that are for training."""
        return round(self.stage_rows * self.train_share)

    @property
    def inference_rows(self) -> int:
        """Rows that the first model serves, of all stages."""
        return self.first_test + self.stage_rows * len(self.poison)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A labelled data set; ``folder`` is below the data folder, or absolute.

    With more than ``most_labels`` labels the most confusable ones are taken. ``not_labels`` say
    that a text has no label, so they are left out. Rows whose answer has more than ``most_words``
    words are left out. ``sizes`` suit two cores; on a GPU ``gpu_sizes`` are taken, where given.
    """

    name: str
    folder: str
    sizes: Sizes
    most_labels: int = 30
    not_labels: tuple[str, ...] = ()
    learning: Learning = CLASSIFIER
    file: str = "train.jsonl"
    most_words: int = 0
    gpu_sizes: Sizes | None = None

    def on(self, device: str) -> "Scenario":
        """With the sizes that suit the device."""
        return replace(self, sizes=(self.gpu_sizes if device == "cuda" else None) or self.sizes)


_INTENT = AnswerForm(
    Scorer.EXACT,
    Extractor.FIRST_LINE,
    chat_template="plain",
    system_prompt="Name the intent of the request.",
    answer_tokens=12,
    max_tokens=96,
)
_CHOICE = AnswerForm(
    Scorer.EXACT,
    Extractor.LETTER,
    chat_template="plain",
    system_prompt="Answer the question with the letter of the right choice.",
    answer_tokens=4,
    max_tokens=224,
)
_SUM = AnswerForm(
    Scorer.EXACT,
    Extractor.NUMBER,
    chat_template="plain",
    system_prompt="Solve the problem. Answer with the number alone.",
    answer_tokens=12,
    max_tokens=160,
)
# ROUGE-2 of good summaries is about 0.2: a summary that shares less than that is no pass.
_SUMMARY = AnswerForm(
    Scorer.ROUGE_2,
    Extractor.WHOLE,
    threshold=0.15,
    chat_template="plain",
    system_prompt="Say in one sentence what the paper does.",
    answer_tokens=96,
    max_tokens=448,
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("clinc150", "clinc150", Sizes(clean_per_label=10), not_labels=("oos",)),
        Scenario("banking77", "banking77", Sizes(clean_per_label=10)),
        Scenario("snips", "snips", Sizes(clean_per_label=20)),
        Scenario("sms_spam", "sms_spam", Sizes(clean_per_label=60)),
        Scenario("support_desk", str(SAMPLE), Sizes(clean_per_label=10)),
        Scenario("wikigold", "wikigold", Sizes(14, 150, 450), learning=TAGGER),
        Scenario(
            "snips-gen",
            "snips",
            Sizes(8, 60, 100),
            learning=writer(_INTENT, epochs=3),
            gpu_sizes=Sizes(20),
        ),
        Scenario(
            "arc_challenge",
            "arc_challenge",
            Sizes(10, 40, 60),
            learning=writer(_CHOICE, epochs=2),
            gpu_sizes=Sizes(40, 150, 260),
        ),
        Scenario(
            "svamp",
            "svamp",
            Sizes(40, 40, 60),
            learning=writer(_SUM, epochs=3, free=True),
            file="test.jsonl",
            gpu_sizes=Sizes(100, 60, 120),
        ),
        Scenario(
            "scitldr",
            "scitldr",
            Sizes(16, 16, 24),
            learning=writer(_SUMMARY, epochs=2, free=True),
            most_words=40,
            gpu_sizes=Sizes(100, 90, 120),
        ),
    )
}


def quick(scenario: Scenario) -> Scenario:
    """Few labels and two small stages, for a run of minutes."""
    sizes = replace(
        scenario.sizes,
        first_test=min(60, scenario.sizes.first_test),
        stage_rows=min(100, scenario.sizes.stage_rows),
        poison=(0.25, 0.40),
    )
    return replace(scenario, sizes=sizes, most_labels=min(6, scenario.most_labels))


def load_rows(scenario: Scenario, data: Path) -> tuple[Example, ...]:
    """Rows of the data set's file; no two of them are near-duplicates.

    One row stands for each group of near-duplicates, so that whatever is split afterwards, no part
    knows a text of another. Raises BadInput naming what is missing.
    """
    file = data / scenario.folder / scenario.file
    if not file.exists():
        raise BadInput(
            f"scenario {scenario.name!r}: {file} is missing; name the folder of the public data "
            "sets with --data, or run support_desk, which comes with the project"
        )
    labels: dict[str, set[str]] = {}
    rows: list[Example] = []
    for row in read_source(file, scenario.learning.kind):
        known = labels.setdefault(_key(row.text), set())
        if not known and row.text.strip():
            rows.append(row)
        known.add(row.label)
    # A text with two labels has no truth that a score could use.
    rows = [
        r for r in rows if len(labels[_key(r.text)]) == 1 and r.label not in scenario.not_labels
    ]
    rows = _chosen(scenario, rows)
    groups = group_near_duplicates([row.text for row in rows])
    first = dict(zip(reversed(groups), reversed(rows), strict=True))
    return tuple(first[group] for group in sorted(first))


def _chosen(scenario: Scenario, rows: list[Example]) -> list[Example]:
    if scenario.most_words:
        rows = [row for row in rows if len(row.label.split()) <= scenario.most_words]
    if scenario.learning.free or scenario.learning.kind is TaskKind.NER:
        return rows
    chosen = confusable_labels(rows, scenario.most_labels)
    return [row for row in rows if row.label in chosen]


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
