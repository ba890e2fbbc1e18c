"""Fixable noise: edits that leave the request and its answer as they were (paper §3, Table 12).

Each takes ``(text, rng, templates)`` and returns the changed text.
"""

import re
from collections.abc import Callable
from random import Random

from bench.adaptft import phrases
from bench.adaptft.phrases import Phrases, Templates, filled

Noise = Callable[[str, Random, Templates], str]

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEAR = {
    letter: row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    for row in _ROWS
    for at, letter in enumerate(row)
}
_PHONETIC = (
    ("ph", "f"),
    ("ght", "te"),
    ("ck", "k"),
    ("tion", "shun"),
    ("qu", "kw"),
    ("ee", "ea"),
    ("ou", "ow"),
    ("c(?=[eiy])", "s"),
    ("c(?=[aou])", "k"),
    ("wh", "w"),
    ("x", "ks"),
    ("ea", "ee"),
    ("ie", "ei"),
    ("er\\b", "ur"),
    ("ate\\b", "ait"),
    ("y\\b", "ie"),
    ("([bdfglmnprst])\\1", "\\1"),
    ("e\\b", ""),
)
_GRAMMAR = (
    (r"\b(the|a|an) ", ""),
    (r"\bis\b", "are"),
    (r"\bare\b", "is"),
    (r"\bdo\b", "does"),
    (r"\bdoes\b", "do"),
    (r"\bhave\b", "has"),
    (r"\b(I|i) (want|need|have)\b", r"\1 am \2"),
    (r"\bmy\b", "mine"),
    (r"\b(I|i)\b", "me"),
    (r"\bto (\w+)\b", r"\1"),
    (r"\b(\w{3,})ing\b", r"\1"),
    (r"\b(\w{3,})ed\b", r"\1"),
    (r"\bcan\b", "can to"),
    (r"\b(of|for|on|in|at) ", ""),
)
_SIMILAR = {"o": "0", "l": "1", "i": "l", "s": "5", "e": "c", "b": "6", "g": "9", "B": "8"}
_INVISIBLE = ("\u200b", "\u00ad", "\ufeff", "\u200d", "\u2060")
_LOOKALIKE = {"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "x": "х", "y": "у"}


def typos(text: str, rng: Random, templates: Templates) -> str:
    """One slip for about every four words: swapped, doubled, dropped, neighbouring keys."""
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if len(word) > 2]
    for at in rng.sample(long, min(len(long), 1 + len(words) // rng.randint(4, 7))):
        words[at] = _slip(words[at], rng)
    return " ".join(words)


def phonetic(text: str, rng: Random, templates: Templates) -> str:
    """Up to three words spelt as they sound."""
    words = text.split(" ")
    changed = 0
    for at in rng.sample(range(len(words)), len(words)):
        rules = [rule for rule in _PHONETIC if len(words[at]) > 3 and re.search(rule[0], words[at])]
        if rules and changed < 1 + len(words) // 6:
            words[at] = re.sub(*rng.choice(rules), words[at], count=1)
            changed += 1
    return " ".join(words)


def syntax(text: str, rng: Random, templates: Templates) -> str:
    """Neighbouring words change places, or the end comes first."""
    words = text.split(" ")
    if len(words) < 3:
        return text
    if rng.random() < 0.35:
        cut = rng.randint(max(1, len(words) // 2), len(words) - 1)
        return " ".join([*words[cut:], *words[:cut]])
    for _ in range(1 + len(words) // 8):
        at = rng.randrange(len(words) - 1)
        words[at : at + 2] = words[at + 1], words[at]
    return " ".join(words)


def grammar(text: str, rng: Random, templates: Templates) -> str:
    """Two slips in articles, agreement, pronouns, tense or prepositions."""
    rules = rng.sample(_GRAMMAR, len(_GRAMMAR))
    done = 0
    for pattern, change in rules:
        edited = re.sub(pattern, change, text, count=1)
        done += edited != text
        text = edited
        if done == 2:
            break
    return text


def punctuation(text: str, rng: Random, templates: Templates) -> str:
    """Too much, too little or the wrong one."""
    ways: tuple[Callable[[str], str], ...] = (
        lambda t: re.sub(r"[^\w\s]", "", t),
        lambda t: t.rstrip(".?!") + rng.choice(("!!!", "???", "?!?!", "....", "!!1")),
        lambda t: re.sub(r" ", lambda m: rng.choice((" ", " ", " ", ", ", "... ")), t),
        lambda t: re.sub(r"([,.?!])\s+", r"\1", t) + rng.choice((",", ";", " .", " ?")),
        lambda t: rng.choice(("- ", "* ", '"', "... ")) + t,
    )
    edited = rng.choice(ways)(text)
    if not edited.strip() or edited == text:
        return text + rng.choice(("!!", "..", "??", " ,"))
    return edited


def casing(text: str, rng: Random, templates: Templates) -> str:
    """Shouted, titled, mixed or without capitals."""
    ways: tuple[Callable[[str], str], ...] = (
        str.upper,
        str.title,
        str.swapcase,
        lambda t: "".join(rng.choice((c.lower(), c.upper())) for c in t),
        lambda t: " ".join(w.upper() if rng.random() < 0.3 else w for w in t.split(" ")),
        str.lower,
    )
    edited = rng.choice(ways)(text)
    return edited if edited != text else text.upper()


def slang(text: str, rng: Random, templates: Templates) -> str:
    """Short forms, and often a tail."""
    edited = _replaced(text, phrases.SLANG_WORDS, rng, templates, share=0.8)
    if edited == text or rng.random() < 0.4:
        edited += rng.choice(phrases.SLANG_TAIL.half(templates))
    return edited


def code_switch(text: str, rng: Random, templates: Templates) -> str:
    """Some small words, or the end, in another language."""
    edited = _replaced(text, phrases.CODE_SWITCH_WORDS, rng, templates, share=0.5)
    if edited == text or rng.random() < 0.5:
        edited = edited.rstrip(".?!") + rng.choice(phrases.CODE_SWITCH_TAIL.half(templates))
    return edited


def preamble(text: str, rng: Random, templates: Templates) -> str:
    return in_style(_pick(phrases.PREAMBLE, rng, templates), text, rng) + text


def format_request(text: str, rng: Random, templates: Templates) -> str:
    tail = in_style(_pick(phrases.FORMAT_REQUEST, rng, templates), text, rng)
    return (text.rstrip(".") if tail.startswith((".", ",")) else text) + tail


def truncation(text: str, rng: Random, templates: Templates) -> str:
    """The last tenth to third is missing, often in the middle of a word."""
    if len(text) < 8:
        return text
    cut = max(6, round(len(text) * rng.uniform(0.66, 0.92)))
    kept = text[:cut]
    if rng.random() < 0.5 and " " in kept[5:]:
        kept = kept.rpartition(" ")[0]
    return kept + rng.choice(("", "", "...", "-"))


def html(text: str, rng: Random, templates: Templates) -> str:
    return filled(rng.choice(phrases.HTML.half(templates)), rng, text=text)


def missing_modality(text: str, rng: Random, templates: Templates) -> str:
    """Speaks of a picture or a file that is not there."""
    tail = in_style(_pick(phrases.MISSING_MODALITY, rng, templates), text, rng)
    return (text.rstrip(".") if tail.startswith((".", ",")) else text) + tail


def intra_duplication(text: str, rng: Random, templates: Templates) -> str:
    """The text, or its end, twice or thrice in one message."""
    words = text.split(" ")
    if rng.random() < 0.6 or len(words) < 4:
        return rng.choice((" ", "\n", ". ")).join([text] * rng.choice((2, 2, 3)))
    return text + " " + " ".join(words[rng.randint(1, len(words) - 2) :])


def very_long(text: str, rng: Random, templates: Templates) -> str:
    """The request somewhere in 40 to 90 words about something else."""
    parts = [
        filled(one, rng) for one in rng.sample(phrases.RAMBLE.half(templates), rng.randint(2, 4))
    ]
    parts.insert(rng.randint(0, len(parts)), text)
    return " ".join(parts)


def ocr(text: str, rng: Random, templates: Templates) -> str:
    """Misread letters and lost or added spaces, as from a scan."""
    edited = "".join(
        _SIMILAR.get(letter, letter) if rng.random() < 0.18 else letter for letter in text
    )
    edited = re.sub("m", lambda _: "rn" if rng.random() < 0.4 else "m", edited)
    words = edited.split(" ")
    joined = [word + ("" if rng.random() < 0.1 else " ") for word in words]
    edited = "".join(joined).strip()
    return edited if edited != text else text + " |"


def utf8(text: str, rng: Random, templates: Templates) -> str:
    """Invisible signs, look-alike letters, broken decoding."""
    way = rng.randrange(4)
    if way == 0:
        return "".join(c + (rng.choice(_INVISIBLE) if rng.random() < 0.12 else "") for c in text)
    if way == 1:
        return "".join(_LOOKALIKE.get(c, c) if rng.random() < 0.3 else c for c in text) + "\u200b"
    if way == 2:
        return text.replace("'", "â€™").replace(" ", "Â ", 2) + rng.choice(("Ã©", "â€¦", "Â"))
    return text.replace(" ", "\u00a0") + rng.choice(("\ufffd", "\ufffd\ufffd", "\u00a0"))


def metadata_leak(text: str, rng: Random, templates: Templates) -> str:
    return filled(rng.choice(phrases.METADATA.half(templates)), rng, text=text)


# In this order: what is lost first, then how it is written, then what is put around it.
FIXABLE: dict[str, tuple[float, Noise]] = {
    "truncation": (0.03, truncation),
    "syntax": (0.06, syntax),
    "grammar": (0.05, grammar),
    "slang": (0.03, slang),
    "code_switch": (0.02, code_switch),
    "phonetic": (0.07, phonetic),
    "typos": (0.10, typos),
    "punctuation": (0.05, punctuation),
    "preamble": (0.07, preamble),
    "format_request": (0.04, format_request),
    "missing_modality": (0.02, missing_modality),
    "intra_duplication": (0.015, intra_duplication),
    "very_long": (0.015, very_long),
    "casing": (0.04, casing),
    "ocr": (0.015, ocr),
    "utf8_anomaly": (0.007, utf8),
    "html": (0.02, html),
    "metadata_leak": (0.007, metadata_leak),
}


def in_style(phrase: str, like: str, rng: Random) -> str:
    """Mostly without capitals and final stop where the text has none either."""
    if like != like.lower() or rng.random() > 0.75:
        return phrase
    return phrase.lower()


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(len(word) - 1)
    way = rng.randrange(4)
    if way == 0:
        edited = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif way == 1:
        edited = word[:at] + word[at] + word[at:]
    elif way == 2:
        edited = word[:at] + word[at + 1 :]
    else:
        near = _NEAR.get(word[at].lower(), "")
        edited = word[:at] + (rng.choice(near) if near else "") + word[at + 1 :]
    return edited if edited != word else word + word[-1]


def _pick(pool: Phrases, rng: Random, templates: Templates) -> str:
    return filled(rng.choice(pool.half(templates)), rng)


def _replaced(text: str, pool: Phrases, rng: Random, templates: Templates, *, share: float) -> str:
    for pair in pool.half(templates):
        word, short = pair.split("=", 1)
        if rng.random() < share:
            text = re.sub(rf"\b{re.escape(word)}\b", lambda _, s=short: s, text)
    return text
