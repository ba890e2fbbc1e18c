"""Ordinary queries of public data sets, where the checkout has them."""

import json
from functools import cache
from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = ("clinc150", "banking77", "snips", "sms_spam")

# Labels of CLINC150 that are about the assistant itself or about earlier talk.
ABOUT_THE_ASSISTANT = frozenset(
    {
        "are_you_a_bot",
        "who_made_you",
        "what_can_i_ask_you",
        "what_is_your_name",
        "where_are_you_from",
        "how_old_are_you",
        "who_do_you_work_for",
        "user_name",
        "repeat",
    }
)


@cache
def ordinary_rows(name: str) -> tuple[tuple[str, str], ...]:
    """(text, label) of a data set's training part; skips the test when it is not there."""
    file = DATA / name / "train.jsonl"
    if not file.is_file():
        pytest.skip(f"{file} is not there: no ordinary queries to measure false alarms on")
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return tuple((row["text"], row["label"]) for row in rows)
