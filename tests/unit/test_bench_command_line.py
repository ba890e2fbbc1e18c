"""A result says which command made it, not where a machine keeps its files."""

from bench.command_line import told


def test_places_of_this_machine_are_left_out() -> None:
    given = [
        "snips",
        "--data",
        "/d",
        "--seeds",
        "3",
        "--out=/tmp/o.json",
        "--work",
        "/w",
        "--quick",
    ]
    assert told("bench.adaptft", given) == "python -m bench.adaptft snips --seeds 3 --quick"


def test_words_are_quoted_as_a_shell_needs_them() -> None:
    assert told("bench.search", ["a b"]) == "python -m bench.search 'a b'"
