"""A trace on the terminal: what is known of it, and what triage said."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from services.diagnoser.ports import QuarantinedTrace, Release, StoredTriage, TraceRecord
    from services.diagnoser.review import ReviewItem


def trace_view(record: "TraceRecord") -> list[RenderableType]:
    """All of one trace: facts, opinions, the verdict with its evidence, the release."""
    shown: list[RenderableType] = [*_facts(record)]
    if record.votes:
        table = Table("right output", "source", "corrector", title="opinions")
        for vote in record.votes:
            table.add_row(plain(vote.answer), vote.source.value, plain(vote.corrector or "–"))
        shown.append(table)
    if record.triage is None:
        shown.append("triage: not yet; it looks at judged traces when a diagnosis is made")
    else:
        shown += _verdict(record.triage)
    if record.release:
        shown.append(_released(record.release))
    return shown


def quarantine_view(found: "Sequence[QuarantinedTrace]", *, each: int) -> list[RenderableType]:
    """A table for each family, the largest first, with at most ``each`` traces."""
    families: dict[str, list[QuarantinedTrace]] = {}
    for trace in found:
        family = trace.triage.verdict.family
        families.setdefault(family.value if family else "several weak signs", []).append(trace)
    shown: list[RenderableType] = []
    for name, traces in sorted(families.items(), key=lambda f: (-len(f[1]), f[0])):
        table = Table(
            _id_column(), "input", "would teach", "confidence", title=f"{name}: {len(traces)}"
        )
        for trace in traces[:each]:
            table.add_row(
                plain(trace.id),
                _short(trace.text),
                _short(trace.corrected or "–"),
                f"{trace.triage.verdict.confidence:.2f}",
            )
        shown.append(table)
    return shown


def review_view(queue: "Sequence[ReviewItem]") -> Table:
    """What to judge next, in this order, each with its offer."""
    table = Table(_id_column(), "input", "answer", "confidence", "offer", "corrected in", "similar")
    for item in queue:
        offer = item.offer
        offered = (
            (plain(offer.answer), _short(offer.source_text), f"{offer.similarity:.2f}")
            if offer
            else ("–", "", "")
        )
        table.add_row(
            plain(item.trace.id),
            _short(item.trace.text),
            _short(item.trace.output),
            f"{item.confidence:.2f}",
            *offered,
        )
    return table


def plain(text: str) -> Text:
    """Text of strangers: no markup, and no sign that would steer the terminal."""
    return Text("".join(sign if sign.isprintable() else " " for sign in text))


def _facts(record: "TraceRecord") -> list[Text]:
    trace, judgement = record.trace, record.judgement
    sure = "" if trace.confidence is None else f", confidence {trace.confidence:.2f}"
    lines = [
        f"trace {trace.id} of {record.model}, version {record.model_version}, "
        f"{_time(trace.occurred_at)}",
        f"input      {trace.text}",
        f"output     {trace.output}{sure}",
    ]
    if record.metadata:
        lines.append("metadata   " + ", ".join(f"{k}={v}" for k, v in record.metadata.items()))
    if judgement is None:
        lines.append("judgement  none yet")
    else:
        lines.append(f"correction {judgement.corrected or 'unknown'}")
        lines.append(f"judgement  {judgement.verdict} by {judgement.source}: {judgement.reason}")
    return [plain(line) for line in lines]


def _verdict(triage: "StoredTriage") -> list[Text | Table]:
    verdict = triage.verdict
    family = f", {verdict.family}" if verdict.family else ""
    head = plain(
        f"triage: {verdict.kind}{family}, confidence {verdict.confidence:.2f}, "
        f"since diagnosis {triage.diagnosis_id} of {_time(triage.at)}"
    )
    if not verdict.evidence:
        return [head, Text("no signal fired")]
    table = Table("signal", "family", "probability", "what was seen", title="evidence")
    for one in sorted(verdict.evidence, key=lambda e: -e.probability):
        table.add_row(
            plain(one.signal), one.family.value, f"{one.probability:.2f}", plain(one.detail)
        )
    return [head, table]


def _released(release: "Release") -> Text:
    return plain(f"released by {release.by}, {_time(release.at)}: {release.reason}")


def _id_column() -> Column:
    # Whole, so that it can be copied into the next command.
    return Column("trace", no_wrap=True)


def _short(text: str, most: int = 80) -> Text:
    return plain(text if len(text) <= most else f"{text[: most - 1]}…")


def _time(at: datetime | None) -> str:
    return "at an unknown time" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
