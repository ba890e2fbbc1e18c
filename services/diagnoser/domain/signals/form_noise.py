"""Noise of form, each as a step: a text, to a cleaner one and whether the noise was there."""

import re
from itertools import pairwise

from services.diagnoser.domain.signals.text_repair import repair_encoding

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def encoding(text: str) -> tuple[str, bool]:
    repaired, wrong = repair_encoding(text)
    return repaired, bool(wrong)


_JSON = re.compile(
    r"""^\s*\{.*?["'](?:query|text|message|input|content|question|prompt|utterance|q"
    r"|msg)["']\s*:\s*["'](.+?)["']\s*[,}].*$""",
    re.DOTALL | re.IGNORECASE,
)
_KEYS = (
    r"(?:user|session|sess|request|req|trace|span|msg_id|message_id|conversation|conv"
    r"|customer|client|account|device|channel|lang"
    r"|locale|ts|timestamp|time|date|ip|uid|uuid|id|agent|browser|os|platform|version|source"
    r"|tz|timezone|latency|turn|ref|ticket|host)"
)
_METADATA = re.compile(
    rf"\b{_KEYS}(?:[_-]?(?:id|key|no|ms|stamp|token|agent|name))?\s?[=:]\s?(?:\"[^\"]*\""
    rf"|'[^']*'|[^\s|;,\])}}]+)"
    rf"|\b{_KEYS}_(?:id|key|ms|token)\s+[\w-]+|\bx-[a-z-]+:\s*\S+|\bcontent-type:\s*\S+"
    rf"|\(?\b(?:request|session|ticket|case|ref(?:erence)?|id)\s?#?\d{{3,}}\)?|\b(?:session"
    rf"|request|trace)\s[a-f0-9-]{{5,}}(?=\])"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?|\[\d\d:\d\d(?::\d\d)?\]"
    r"|(?-i:(?:^|(?<=\] )|(?<=Z ))(?:INFO|DEBUG|WARN|WARNING|ERROR|TRACE)\b(?::\w+)?"
    r"(?::[\w=]+)?)|\bturn \d+\s*:"
    r"|\b(?:ip|agent)\s(?:\d{1,3}\.){3}\d{1,3}|\b\d{1,3}(?:\.\d{1,3}){3}\b|\bmozilla(?:/[\d.]+)?\b"
    r"|(?:[-–—]{1,2}\s*)?sent from my (?:iphone|android|ipad|phone|mobile)|\b(?:from|to"
    r"|subject|cc):\s*\S+@?\S*\.?"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    re.IGNORECASE,
)
# What machines write holds one of these; most texts hold none and need no closer look.
_TECHNICAL = re.compile(r"[=:_\[{<|]|\d{3}|\d\.\d|sent from|mozilla|\b[A-Z]{4,5}\b|turn \d|session")
_LABELLED = re.compile(
    r"^(?:[\s|;,\[\](){}<>:-]|\b(?:query|text|message|input|q|msg|utterance)\s*[:=])+",
    re.IGNORECASE,
)


def metadata(text: str) -> tuple[str, bool]:
    if not _TECHNICAL.search(text):
        return text, False
    inner = _JSON.match(text)
    if inner:
        return inner.group(1), True
    bare, times = _METADATA.subn(" ", text)
    if not times:
        return text, False
    bare = re.sub(r"\[[\s:,|]*\]|\([\s:,|]*\)|<\w*[\s:,|]*>", " ", bare)
    bare = _LABELLED.sub("", bare)
    return re.sub(r"\s+", " ", bare).strip(" |;,:[](){}<>-"), True


_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]{0,80})?/?>|<!--.*?-->", re.IGNORECASE)
_MARKS = re.compile(
    r"(\*\*|__|~~|`{1,3})(?=\S)(.+?)(?<=\S)\1|\[(?:/?(?:b|i|u|code|quote|url))\]|^#{1,6}\s+"
    r"|^\s*>\s+|(?<!\w)\*(?=\w)([^*]+)(?<=\w)\*(?!\w)"
    r"|\[([^\]\[]{1,60})\]\((?:https?:)?[^)\s]*\)",
    re.IGNORECASE | re.MULTILINE,
)
_ATTACHMENT = re.compile(
    r"[\[<(]\s*(?:image|photo|picture|audio|video|file|attachment|screenshot|voice"
    r"|img)[^\]>)]{0,40}[\]>)]",
    re.IGNORECASE,
)


def markup(text: str) -> tuple[str, bool]:
    bare, attached = _ATTACHMENT.subn(" ", text)
    bare, tags = _TAG.subn(" ", bare)
    bare, marks = _MARKS.subn(lambda found: found[2] or found[3] or found[4] or "", bare)
    if not (attached or tags or marks):
        return text, False
    return re.sub(r"\s+([.,!?;:])", r"\1", re.sub(r"\s+", " ", bare)).strip(), True


_DOUBLED = re.compile(r"\b(\w+(?:[ '’]\w+){0,4})(?:[\s,]+\1\b)+", re.IGNORECASE)
_TWICE = (
    "very so really much many ha haha no yes bye ok okay please that had more long far knock go"
    " well never again good night there now wait blah hey hi dear love big old same la one two"
    " three oh boo new san tom half back pop run hurry quick"
)
_FAIR_TWICE = frozenset(_TWICE.split())


def repeated(text: str) -> tuple[str, bool]:
    seen = False

    def once(found: re.Match[str]) -> str:
        nonlocal seen
        said = found.group(1)
        if said.casefold() in _FAIR_TWICE or said.isdigit() or (said[0].isdigit()):
            return found.group()
        seen = True
        return said

    words = text.split()
    half = len(words) // 2
    if half >= 2 and len(words) % 2 == 0:
        first, second = " ".join(words[:half]), " ".join(words[half:])
        if first.casefold().strip(" .,!?") == second.casefold().strip(" .,!?"):
            return second, True
    return _DOUBLED.sub(once, text), seen


def casing(text: str, lower: bool) -> tuple[str, bool]:
    words = [word for word in WORD.findall(text) if len(word) >= 2 and word.isalpha()]
    letters = [sign for sign in text if sign.isalpha()]
    if len(words) < 3 or len(letters) < 8:
        return text, False
    upper = sum(sign.isupper() for sign in letters) / len(letters)
    odd = sum(_jumpy(word) for word in words)
    titled = sum(word.istitle() for word in words)
    shouted = upper > 0.8 or odd >= max(2, 0.3 * len(words))
    if not shouted and not (lower and titled >= max(4, 0.9 * len(words))):
        return text, False
    return text.lower() if lower else text[:1].upper() + text[1:].lower(), True


def _jumpy(word: str) -> bool:
    """Capitals after small letters, more than a name like "McDonald" or "iPhone" has."""
    jumps = sum(a.islower() and b.isupper() for a, b in pairwise(word))
    return jumps >= 2 or (jumps == 1 and not (word[0].isupper() or word[1:2].isupper()))


_RUNS = re.compile(r"([!?,;:])(?:\s*[!?,;:.]){1,}|\.{2,}(?!\.)|\s+-\s*$|(?<=[a-z])[;,](?=\s*$)")
_STRAY = re.compile(r"(?<=\w)\s+([,;:!])(?=\s)|(?<=[a-z])([.;])\s+(?=[a-z]+(?:\s+[a-z]+)*$)")


def stops(text: str) -> tuple[str, bool]:
    one = _RUNS.sub(_first_stop, text)
    return (re.sub(r"\s{2,}", " ", one).strip(), True) if one != text else (text, False)


def _first_stop(found: re.Match[str]) -> str:
    run = found.group()
    if found.end() < len(found.string.rstrip()):
        return "," if "," in run else (" " if run.strip(" .-") == "" else run.strip()[0])
    return "?" if "?" in run else ("!" if "!" in run else "")
