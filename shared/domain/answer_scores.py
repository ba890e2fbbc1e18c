"""Answers found in what a model said, and how near they are to the right ones (paper App. D)."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from shared.domain.answer_form import ANSWER_MARK, AnswerForm, Extractor, Scorer
from shared.domain.tested_answers import taught

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
# A letter that stands as a choice does; an article at the start of a sentence is none.
_LETTERS = (
    re.compile(r"^\W*([A-Z])\W*$", re.MULTILINE),
    re.compile(r"^\W*([A-Z])[).:\]]"),
    re.compile(r"(?i:answer|choice|option)(?: is)?:? ?\W?([A-Z])(?![A-Za-z'])"),
    re.compile(r"\(([A-Z])\)"),
)
_FENCE = re.compile(r"```([^\n`]*)\n(.*?)(?:```|\Z)", re.DOTALL)
_PYTHON = re.compile(r"\s*(?:py(?:thon)?[\d.]*)?\s*", re.IGNORECASE)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_NOT_ROUGE = re.compile(r"[^a-z0-9]+")


def extract(text: str, extractor: Extractor) -> str | None:
    """The answer in a text, stripped; None where there is none."""
    if extractor is Extractor.CODE:
        return _code(text).strip("\n") or None
    if extractor is Extractor.WHOLE:
        return text.strip() or None
    said = text.rpartition(ANSWER_MARK)[2].strip()
    match extractor:
        case Extractor.MARKED:
            return said or None
        case Extractor.FIRST_LINE:
            return said.partition("\n")[0].strip() or None
        case Extractor.NUMBER:
            return _last_number(said)
        case Extractor.LETTER:
            return _letter(said)


def _code(text: str) -> str:
    """All fenced blocks of Python as one, for an answer may go on in a second; else the text."""
    fenced = _FENCE.findall(text)
    python = [code for said, code in fenced if _PYTHON.fullmatch(said)]
    return "\n".join(python or [code for _, code in fenced] or [text])


def score(output: str, target: str, form: AnswerForm) -> float:
    """How near an output is to its target, 0 to 1; 0 where it holds no answer.

    A target in which the extractor finds nothing stands as it is. By scorers that do not compare,
    1 is sure and 0 is not.
    """
    found = extract(taught(output, form), form.extractor)
    if found is None:
        return 0.0
    right = taught(target, form)
    return _SCORERS[form.scorer](found, extract(right, form.extractor) or right.strip())


def token_f1(output: str, target: str) -> float:
    """F1 of the words in common, each as often as in both; as SQuAD's script."""
    found, right = plain_words(output), plain_words(target)
    return _f1(_overlap(found, right), len(found), len(right))


def rouge_n(output: str, target: str, n: int) -> float:
    """F1 of the word n-grams in common (Lin 2004), without stemming."""
    found, right = _grams(_rouge_words(output), n), _grams(_rouge_words(target), n)
    return _f1(_overlap(found, right), len(found), len(right))


def rouge_l(output: str, target: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004), without stemming."""
    found, right = _rouge_words(output), _rouge_words(target)
    return _f1(_common(found, right), len(found), len(right))


def plain_words(text: str) -> list[str]:
    """The words of a text without case, punctuation and articles."""
    return _ARTICLES.sub(" ", _PUNCTUATION.sub("", text.lower())).split()


def _last_number(text: str) -> str | None:
    found = _NUMBER.findall(text)
    if not found:
        return None
    try:
        number = Decimal(found[-1].replace(",", ""))
    except InvalidOperation:
        return None
    # 18, 18.0 and 1,8e1 are one number.
    return f"{number.normalize():f}" if number else "0"


def _letter(text: str) -> str | None:
    return next((found.group(1) for one in _LETTERS if (found := one.search(text))), None)


def _rouge_words(text: str) -> list[str]:
    return _NOT_ROUGE.sub(" ", text.lower()).split()


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


def _overlap(found: Sequence[object], right: Sequence[object]) -> int:
    return (Counter(found) & Counter(right)).total()


def _common(found: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(right) + 1)
    for word in found:
        above = row
        row = [0]
        for at, (before, reached) in enumerate(pairwise(above)):
            row.append(before + 1 if right[at] == word else max(reached, row[at]))
    return row[-1]


def _f1(common: int, found: int, right: int) -> float:
    if not found or not right:
        return 0.0
    return 2 * common / (found + right)


def _same(found: str, right: str) -> float:
    return float(found == right)


_SCORERS: dict[Scorer, Callable[[str, str], float]] = {
    Scorer.EXACT: _same,
    Scorer.WORDS: lambda found, right: float(plain_words(found) == plain_words(right)),
    Scorer.F1: token_f1,
    Scorer.ROUGE_1: lambda found, right: rouge_n(found, right, 1),
    Scorer.ROUGE_2: lambda found, right: rouge_n(found, right, 2),
    Scorer.ROUGE_L: rouge_l,
    Scorer.PASSES: _same,
    Scorer.JUDGE: _same,
}
