"""How the signals read a text: plain words, whatever the case, contractions, spelling or disguise.

A reading is lower-case words with single spaces; a comma stays as ``,`` and every other stop as
``.``, so a rule can tell whether words belong to one clause.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import cache

_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_TOKEN = re.compile(r"[^\W_]+(?:[’'][^\W_]+)*|[@$!]?[^\W_]+|,|[.!?;:\n|\"\[\](){}<>—–]+|--+")
_SPELLED = re.compile(r"(?<!\w)(?:\w ){3,}\w(?!\w)")
_STOPS = re.compile(r"(?:[.,] )*\. (?:[.,] )*")
_LEET = str.maketrans("013457@$", "oieastas")

_AUXILIARIES = "is are was were do does did have has had could would should must"
_CONTRACTIONS = {
    **dict.fromkeys(("can't", "cant", "cannot"), "can not"),
    **dict.fromkeys(("won't", "wont"), "will not"),
    **dict.fromkeys(("shan't", "shant"), "shall not"),
    **dict.fromkeys(("let's", "lets"), "let us"),
    **dict.fromkeys(("i'm", "im"), "i am"),
    **dict.fromkeys(("ive", "i've"), "i have"),
    **dict.fromkeys(("dont", "don't"), "do not"),
    **dict.fromkeys(("youre", "you're"), "you are"),
    **dict.fromkeys(("youve", "you've"), "you have"),
    **dict.fromkeys(("gonna",), "going to"),
    **dict.fromkeys(("wanna",), "want to"),
    **dict.fromkeys(("u", "ya"), "you"),
    **dict.fromkeys(("ur",), "your"),
    **dict.fromkeys(("r",), "are"),
    **dict.fromkeys(("pls", "plz"), "please"),
    **{f"{verb}nt": f"{verb} not" for verb in _AUXILIARIES.split()},
}
_ENDINGS = {
    "n't": " not",
    "'re": " are",
    "'ve": " have",
    "'ll": " will",
    "'m": " am",
    "'d": " would",
}
# "what's" is "what is"; "bob's" is Bob's.
_ASKING = "what who where when how that there it he she here which everything"
_IS_AFTER = frozenset(_ASKING.split())


def read(text: str, keywords: Collection[str] = frozenset(), known: Collection[str] = ()) -> str:
    """The reading of a text, with a stop at either end.

    A word that is neither in ``known`` nor in ``keywords`` but one slip away from one of the
    ``keywords`` (a frozenset), or spelt with digits in its place, is read as that keyword.
    """
    shown = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold().replace("’", "'")
    shown = _SPELLED.sub(lambda found: found.group().replace(" ", ""), shown)
    words = (_plain(token) for token in _TOKEN.findall(shown))
    if keywords:
        slips = _slips(frozenset(keywords))
        words = (_intended(word, keywords, known, slips) for word in words)
    return _STOPS.sub(". ", f". {' '.join(words)} . ").strip()


def _plain(token: str) -> str:
    if token == ",":  # noqa: S105
        return token
    if token[0].isalnum() and "'" not in token and token not in _CONTRACTIONS:
        return token
    if token in _CONTRACTIONS:
        return _CONTRACTIONS[token]
    if "'" in token and token[0].isalnum():
        return _without_apostrophe(token)
    return token if token[-1].isalnum() else "."


def _without_apostrophe(token: str) -> str:
    for ending, full in _ENDINGS.items():
        if token.endswith(ending):
            return token.removesuffix(ending) + full
    stem, _, rest = token.partition("'")
    return f"{stem} is" if rest == "s" and stem in _IS_AFTER else token.replace("'", "")


def _intended(
    word: str, keywords: Collection[str], known: Collection[str], slips: dict[str, str]
) -> str:
    if word in keywords or word in known or len(word) < 3:
        return word
    if not word.isalpha():
        letters = word.translate(_LEET)
        return letters if letters in keywords else word
    if len(word) < 5:
        return word
    for form in deletions(word):
        meant = slips.get(form)
        # Not another form of the keyword: "ignored", "promises".
        if meant and one_slip(word, meant) and not _inflected(word, meant):
            return meant
    return word


def _inflected(word: str, keyword: str) -> bool:
    longer, shorter = max(word, keyword, key=len), min(word, keyword, key=len)
    return longer[:-1] == shorter and longer[-1] in "sdrye"


@cache
def _slips(keywords: frozenset[str]) -> dict[str, str]:
    """From each keyword with one letter or none left out, to the keyword."""
    long = sorted(word for word in keywords if len(word) >= 6)
    return {form: word for word in long for form in deletions(word)}


def deletions(word: str) -> Iterable[str]:
    """The word, then each form with one letter left out (Garbe's symmetric delete)."""
    yield word
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


def one_slip(left: str, right: str) -> bool:
    """Whether one letter added, left out, changed or swapped with its neighbour explains it."""
    if left == right or abs(len(left) - len(right)) > 1:
        return left == right
    at = next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )
    a, b = left[at:], right[at:]
    if len(a) != len(b):
        return a[1:] == b if len(a) > len(b) else a == b[1:]
    return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
