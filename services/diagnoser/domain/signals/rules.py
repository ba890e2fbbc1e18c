"""Rules of phrasing: a pattern over readings, tried only where one of its head words stands."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.triage import Family


@dataclass(frozen=True, slots=True)
class Rule:
    """``heads`` are words of which a match holds at least one; empty means always try."""

    family: Family
    name: str
    heads: frozenset[str]
    pattern: re.Pattern[str]
    probability: float
    detail: str


class RuleBook:
    """Rules by head word, so that a text pays only for the rules that its words call up."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._by_head: dict[str, list[int]] = {}
        for at, rule in enumerate(self._rules):
            for head in rule.heads:
                self._by_head.setdefault(head, []).append(at)
        self._always = [at for at, rule in enumerate(self._rules) if not rule.heads]

    @property
    def words(self) -> frozenset[str]:
        """The head words of all rules."""
        return frozenset(self._by_head)

    def matching(self, reading: str) -> dict[str, tuple[Rule, str]]:
        """The rules that match, by name, each with the words it matched."""
        tried = set(self._always)
        for word in set(reading.split()):
            tried.update(self._by_head.get(word, ()))
        found: dict[str, tuple[Rule, str]] = {}
        for at in sorted(tried):
            seen = self._rules[at].pattern.search(reading)
            if seen:
                found[self._rules[at].name] = (self._rules[at], seen.group().strip(" .,"))
        return found


def rule(
    family: Family,
    name: str,
    heads: str,
    pattern: str,
    lists: Mapping[str, str],
    *,
    probability: float = 0.9,
    detail: str,
) -> Rule:
    """``{name}`` in the pattern stands for a list of words; ``~n`` for up to n words of a clause.

    ``heads`` is words, or names of lists as ``{name}``, with spaces between.
    """
    return Rule(
        family,
        f"{family.value}.{name}",
        frozenset(_heads(heads, lists)),
        re.compile(_expand(pattern, lists)),
        probability,
        detail,
    )


def _heads(heads: str, lists: Mapping[str, str]) -> Iterable[str]:
    for head in heads.split():
        if head.startswith("{"):
            # A phrase is called up by its first word.
            yield from (entry.split()[0] for entry in lists[head.strip("{}")].split("|"))
        else:
            yield head


def _expand(pattern: str, lists: Mapping[str, str]) -> str:
    filled = re.sub(r"\{([a-z_]+)\}", lambda found: f"(?:{lists[found.group(1)]})", pattern)
    filled = re.sub(r"~~(\d+)", r"(?:[^ ]+ ){0,\1}?", filled)
    filled = re.sub(r"~(\d+)", r"(?:\\w+ ){0,\1}?", filled)
    return rf"(?<![^ ])(?:{filled})(?![^ ])"
