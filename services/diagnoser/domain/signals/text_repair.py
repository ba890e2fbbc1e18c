"""Encoding junk: what a text was before it was decoded wrongly, as far as it can be told."""

import html
import re
import unicodedata

# Cc but tab and line ends, soft hyphen, zero-width and direction marks, byte order mark.
_JUNK = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064"
    "\u2066-\u2069\ufeff\ufff9-\ufffc]"
)
# Joiners belong into emoji and some scripts, not between Latin letters.
_JOINER = re.compile("(?<=[A-Za-z ])\u200d|\u200d(?=[A-Za-z ])")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|%(20|2[0-9A-F]|3[A-F])")
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,5}|#x[0-9a-fA-F]{2,4});")
# What may follow a lead byte of UTF-8 when bytes were read in a one-byte code.
_NEXT = (
    "[\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d"
    "\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]"
)
# Latin, Greek, Cyrillic, Hebrew and Arabic letters; punctuation; emoji; runs of other scripts.
# Shorter runs would be letters with quotes behind them.
_MOJIBAKE = re.compile(
    f"[\u00c2-\u00c5\u00ce-\u00d1\u00d7-\u00d9]{_NEXT}|[\u00e2\u00ef]{_NEXT}{{2}}|\u00f0{_NEXT}{{3}}"
    f"|(?:[\u00e0-\u00e9]{_NEXT}{{2}}){{2,}}"
)
_TWICE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]")
_STYLED = re.compile(
    "[\uff01-\uff5e\U0001d400-\U0001d7ff\u2460-\u24ff\ufb00-\ufb06\u00a0\u2000-\u200a]"
)
# Windows-1252 read as Latin-1, alone between other signs: quotes and dashes.
_MISREAD = re.compile("(?<![\u00c2-\u00f4])[\x82-\x8c\x91-\x9c](?![\x80-\xbf])")
_SPACES = re.compile(r"[ \t\u00a0]{2,}")


def repair_encoding(text: str) -> tuple[str, tuple[str, ...]]:
    """The repaired text and what was wrong with it; nothing wrong gives the text itself.

    Undoes UTF-8 read as Latin-1 or Windows-1252, entities and escapes left in the text, styled
    and full-width letters, control, direction and zero-width characters. A replacement character
    stands for a letter that is lost, so it is only dropped.
    """
    wrong: list[str] = []
    fixed = text
    for what, mend in (
        ("bytes read in the wrong code", _redecode),
        ("escapes left in the text", _unescape),
        ("control or invisible characters", _without_junk),
        ("styled letters", _plain_letters),
        ("lost characters", _without_lost),
    ):
        mended = mend(fixed)
        if mended != fixed:
            wrong.append(what)
            fixed = mended
    return (_SPACES.sub(" ", fixed).strip(), tuple(wrong)) if wrong else (text, ())


def _redecode(text: str) -> str:
    mended = _MISREAD.sub(lambda found: found.group().encode("latin-1").decode("cp1252"), text)
    once = _MOJIBAKE.sub(lambda found: _as_utf8(found.group()), mended)
    # Some texts went through the wrong code twice: what is left begins with these two letters.
    return _MOJIBAKE.sub(lambda f: _as_utf8(f.group()), once) if _TWICE.search(once) else once


def _as_utf8(junk: str) -> str:
    """The run as UTF-8, or itself where it is none: "Ã\u00a9" is "é"."""
    try:
        return b"".join(_byte(sign) for sign in junk).decode("utf-8")
    except UnicodeDecodeError:
        return junk


def _byte(sign: str) -> bytes:
    try:
        return sign.encode("cp1252")
    except UnicodeEncodeError:
        return sign.encode("latin-1", "replace")


def _unescape(text: str) -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(next(filter(None, found.groups())), 16)), text)
    return html.unescape(plain) if _ENTITY.search(plain) else plain


def _without_junk(text: str) -> str:
    return _JOINER.sub("", _JUNK.sub("", text))


def _without_lost(text: str) -> str:
    return text.replace("\ufffd", "")


def _plain_letters(text: str) -> str:
    return _STYLED.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text)
