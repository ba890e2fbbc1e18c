"""Phrasing that makes a row unfit to learn from: attacks, false premises, talk about other talk.

Rules are grammars over readings, so case, contractions, a slip of a letter and disguises do not
matter. What this deployment's trusted texts say themselves is no evidence: where its users ask
"are you a bot?", that is a label, not an attack.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.diagnoser.domain.signals import (
    context_rules,
    injection_rules,
    jailbreak_rules,
    meta_rules,
    premise_rules,
    recall_rules,
)
from services.diagnoser.domain.signals.injection_rules import MARKS
from services.diagnoser.domain.signals.reading import read
from services.diagnoser.domain.signals.rules import RuleBook
from shared.domain.triage import Evidence, Family

SIGNAL = "phrasing"

_BOOK = RuleBook(
    (
        *injection_rules.RULES,
        *jailbreak_rules.RULES,
        *premise_rules.RULES,
        *context_rules.RULES,
        *recall_rules.RULES,
        *meta_rules.RULES,
    )
)
# Slips are mended only towards words that are rare elsewhere, or every mended word would be one
# more chance of a false alarm.
_PLAIN = (
    "before should change changed listed answer answers always stated states listen started free"
    " letter letters either people second others reason spread choose choice talked asking"
)
_MENDED = frozenset(word for word in _BOOK.words if len(word) >= 6 and word.isalpha()) - frozenset(
    _PLAIN.split()
)
# Of a label's trusted rows, the share from which a rule's firing is that label's own way to speak;
# and of all trusted rows.
_OF_LABEL, _OF_ALL = 0.08, 0.02
_FEWEST = 2


def phrasing_evidence(
    texts: Sequence[str],
    ordinary: Sequence[str] = (),
    *,
    labels: Sequence[str] | None = None,
    ordinary_labels: Sequence[str] | None = None,
) -> list[tuple[Evidence, ...]]:
    """For each text the strongest evidence of each family of poison that its phrasing shows.

    ``ordinary`` are texts whose answers are trusted: the parent's training rows, passing traffic.
    A rule that fires on 2 % of them, or on 8 % of those with the row's label (at least two), is
    how people speak here and is left out. Linear in the number of texts.
    """
    known = frozenset(word for text in ordinary for word in text.casefold().split())
    usual = _Usual.of([find(text, known) for text in ordinary], ordinary_labels)
    found: list[tuple[Evidence, ...]] = []
    for at, text in enumerate(texts):
        hits = find(text, known)
        label = labels[at] if labels is not None else None
        found.append(_strongest([hit for name, hit in hits.items() if not usual.has(name, label)]))
    return found


def find(text: str, known: frozenset[str] = frozenset()) -> dict[str, Evidence]:
    """What the rules see in one text, by the rule's name, with nothing taken for usual."""
    hits = {
        name: Evidence(SIGNAL, rule.family, rule.probability, f"{rule.detail}: “{words[:80]}”")
        for name, (rule, words) in _BOOK.matching(read(text, _MENDED, known)).items()
    }
    for name, pattern, probability, detail in MARKS:
        seen = pattern.search(text)
        if seen:
            words = f"{detail}: “{seen.group().strip()[:80]}”"
            hits[name] = Evidence(SIGNAL, Family.PROMPT_INJECTION, probability, words)
    return hits


def _strongest(hits: Sequence[Evidence]) -> tuple[Evidence, ...]:
    best: dict[Family, Evidence] = {}
    for hit in hits:
        if hit.family not in best or hit.probability > best[hit.family].probability:
            best[hit.family] = hit
    return tuple(sorted(best.values(), key=lambda hit: (-hit.probability, hit.family)))


@dataclass(frozen=True, slots=True)
class _Usual:
    """The rules that fire on trusted texts, of all labels and of each."""

    everywhere: frozenset[str]
    of_label: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, hits: Sequence[Mapping[str, Evidence]], labels: Sequence[str] | None) -> "_Usual":
        groups: dict[str, list[Mapping[str, Evidence]]] = defaultdict(list)
        for label, hit in zip(labels or (), hits, strict=False):
            groups[label].append(hit)
        return cls(
            _frequent(hits, _OF_ALL), {of: _frequent(g, _OF_LABEL) for of, g in groups.items()}
        )

    def has(self, name: str, label: str | None) -> bool:
        return name in self.everywhere or (
            label is not None and name in self.of_label.get(label, frozenset())
        )


def _frequent(hits: Sequence[Mapping[str, Evidence]], share: float) -> frozenset[str]:
    seen = Counter(name for hit in hits for name in hit)
    least = max(_FEWEST, share * len(hits))
    return frozenset(name for name, times in seen.items() if times >= least)
