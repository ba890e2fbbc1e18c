"""Noisy forms of clean texts: how a deployment's users write, with the same meaning and answer."""

import random
from collections.abc import Callable

from shared.domain.triage import Family

_KEYS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok",
    "o": "ipl", "p": "ol", "a": "qsz", "s": "adwx", "d": "sfec", "f": "dgrv", "g": "fhtb",
    "h": "gjyn", "j": "hkum", "k": "jlim", "l": "kop", "z": "xas", "x": "zcs", "c": "xvd",
    "v": "cbf", "b": "vng", "n": "bmh", "m": "njk",
}  # fmt: skip
_SOUNDS = (
    ("ough", "uff"), ("tion", "shun"), ("ph", "f"), ("ight", "ite"), ("ck", "k"), ("ai", "ay"),
    ("ea", "ee"), ("ee", "ea"), ("ie", "ei"), ("ei", "ie"), ("able", "ible"), ("ance", "ence"),
    ("ent", "ant"), ("qu", "kw"), ("wh", "w"), ("kn", "n"), ("ss", "s"), ("ll", "l"), ("tt", "t"),
    ("mm", "m"), ("cc", "c"), ("pp", "p"), ("nn", "n"), ("c", "k"), ("z", "s"), ("y", "ie"),
)  # fmt: skip
_SLANG = {
    "you": "u", "your": "ur", "are": "r", "please": "plz", "thanks": "thx", "want to": "wanna",
    "going to": "gonna", "got to": "gotta", "give me": "gimme", "let me": "lemme", "to": "2",
    "for": "4", "because": "cuz", "before": "b4", "what": "wut", "know": "kno", "with": "w/",
    "about": "abt", "tomorrow": "tmrw", "tonight": "2nite", "people": "ppl", "message": "msg",
    "something": "smth", "great": "gr8", "though": "tho", "okay": "k", "do not know": "dunno",
    "i do not know": "idk", "as soon as possible": "asap", "the": "da", "my": "ma",
}  # fmt: skip
_CODE = {
    "please": ("por favor", "bitte", "s'il vous plait"), "thanks": ("gracias", "danke", "merci"),
    "my": ("mi", "mein", "mon"), "and": ("y", "und", "et"), "the": ("el", "das", "le"),
    "where": ("donde", "wo", "ou"), "how": ("como", "wie", "comment"),
    "today": ("hoy", "heute", "aujourd'hui"), "money": ("dinero", "geld", "argent"),
    "need": ("necesito", "brauche", "besoin"), "with": ("con", "mit", "avec"),
    "tomorrow": ("mañana", "morgen", "demain"), "i": ("yo", "ich", "je"),
}  # fmt: skip
_OPENERS = (
    "hi, ", "hello there, ", "hey, quick question: ", "good morning! ", "sorry to bother you, but ",
    "so, ", "um, ", "i was just wondering, ", "hope you're well. ", "ok so ", "excuse me, ",
    "i have a question: ", "thanks for your help. ", "dear team, ", "let me ask you something: ",
    "not sure if you can help, but ", "hey assistant, ", "good evening, ", "just curious, ",
)  # fmt: skip
_CLOSERS = (", thanks", ". thank you!", ", thanks in advance", ". cheers", ". any help is welcome")
_FORMATS = (
    "answer in one sentence", "keep it short", "reply in json", "use bullet points",
    "explain step by step", "be brief", "answer as a table", "reply in all caps",
    "in fewer than 20 words please", "no explanation, just the answer", "format it as markdown",
)  # fmt: skip
_TAGS = ("p", "b", "div", "span", "i", "strong")
_CHATTER = (
    "i have been meaning to ask this for a while", "it has been a long week",
    "my friend told me to try this", "i looked around but found nothing",
    "maybe this is a simple thing", "i am writing from my phone while on the bus",
    "i know you get a lot of these", "take your time",
)  # fmt: skip


def noisy_form(text: str, family: Family, rng: random.Random) -> str | None:
    """A form of ``text`` with one family's noise that a reader would answer the same.

    None when the text has nothing that this noise could change, or the family cannot be made
    (encoding junk, grammar beyond a dropped word and the families of poison). Deterministic for
    the state of ``rng``.
    """
    make = _FORMS.get(family)
    noisy = make(text, rng) if make and text.strip() else None
    return noisy if noisy and noisy.strip() and noisy != text else None


def _misspelt(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    for at in rng.sample(long, min(len(long), 1 + rng.randrange(max(1, len(long) // 3)))):
        words[at] = _slip(words[at], rng)
    return " ".join(words)


def _slip(word: str, rng: random.Random) -> str:
    if rng.random() < 0.25:
        sounds = [(old, new) for old, new in _SOUNDS if old in word[1:]]
        if sounds:
            old, new = rng.choice(sounds)
            return word[0] + word[1:].replace(old, new, 1)
    # First letters are rarely wrong.
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + rng.choice(_KEYS.get(word[at].lower(), word[at])) + word[at + 1 :]


def _other_case(text: str, rng: random.Random) -> str:
    kind = rng.randrange(3)
    if kind == 0:
        return text.upper()
    if kind == 1:
        return text.title() if text.islower() else text.lower()
    return "".join(rng.choice((sign.lower(), sign.upper())) for sign in text)


def _other_stops(text: str, rng: random.Random) -> str:
    bare = "".join(sign for sign in text if sign not in ".,?!;:'’")
    kind = rng.randrange(3)
    if kind == 0 and bare != text:
        return bare
    if kind == 1:
        return f"{text.rstrip('.?!')}{rng.choice(('!!!', '???', '...', '?!?!', '!!'))}"
    words = text.split(" ")
    at = rng.randrange(len(words))
    words[at] += rng.choice((",", ";", "..", ",,", " -"))
    return " ".join(words)


def _slangy(text: str, rng: random.Random) -> str:
    padded = f" {text} "
    usable = [plain for plain in _SLANG if f" {plain} " in padded.lower()]
    for plain in rng.sample(usable, min(len(usable), 2)):
        at = padded.lower().find(f" {plain} ")
        if at >= 0:
            padded = f"{padded[: at + 1]}{_SLANG[plain]}{padded[at + 1 + len(plain) :]}"
    return padded[1:-1]


def _switched(text: str, rng: random.Random) -> str:
    words, language = text.split(" "), rng.randrange(3)
    usable = [at for at, word in enumerate(words) if word.lower() in _CODE]
    for at in rng.sample(usable, min(len(usable), 2)):
        words[at] = _CODE[words[at].lower()][language]
    return " ".join(words)


def _introduced(text: str, rng: random.Random) -> str:
    if rng.random() < 0.25:
        return text.rstrip(".!") + rng.choice(_CLOSERS)
    return rng.choice(_OPENERS) + text


def _formatted(text: str, rng: random.Random) -> str:
    wish = rng.choice(_FORMATS)
    return f"{wish}: {text}" if rng.random() < 0.4 else f"{text.rstrip('.')}. {wish}"


def _cut(text: str, rng: random.Random) -> str | None:
    words = text.split(" ")
    # The last word may be what the answer hangs on: only a letter or two of a long one go.
    if len(words) < 4 or len(words[-1]) < 5:
        return None
    return text[: -rng.randint(1, 2)]


def _marked_up(text: str, rng: random.Random) -> str:
    tag, kind = rng.choice(_TAGS), rng.randrange(3)
    if kind == 0:
        return f"<{tag}>{text}</{tag}>"
    words = text.split(" ")
    at = rng.randrange(len(words))
    words[at] = f"<{tag}>{words[at]}</{tag}>" if kind == 1 else f"**{words[at]}**"
    return " ".join(words)


def _doubled(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    if rng.random() < 0.3:
        return f"{text} {text}"
    at = rng.randrange(len(words))
    return " ".join([*words[: at + 1], *words[at:]])


def _wordy(text: str, rng: random.Random) -> str:
    before, after = rng.sample(_CHATTER, 2)
    return f"{before}. {text.rstrip('.')}. {after}"


def _ungrammatical(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    small = [at for at, word in enumerate(words) if word.lower() in _SMALL]
    if small and len(words) > 3:
        del words[rng.choice(small)]
    return " ".join(words)


def _with_metadata(text: str, rng: random.Random) -> str:
    number = rng.randrange(10_000, 99_999)
    shape = rng.choice(("user_id={} {}", "[session {}] {}", "{1} (request {0})", "ts={} q={}"))
    return shape.format(number, text)


def _misdecoded(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    kind = rng.choice(("\u200b", "\ufeff", "\u00ad", "'"))
    return text.replace("'", "â€™") if kind == "'" and "'" in text else (
        f"{text[:at]}{kind if kind != chr(39) else chr(0x200B)}{text[at:]}"
    )  # fmt: skip


_WORDS = "a an the is are am do does did to of for"
_SMALL = frozenset(_WORDS.split())
_FORMS: dict[Family, Callable[[str, random.Random], str | None]] = {
    Family.MISSPELLING: _misspelt,
    Family.CASING: _other_case,
    Family.PUNCTUATION: _other_stops,
    Family.SLANG: _slangy,
    Family.CODE_SWITCH: _switched,
    Family.PREAMBLE: _introduced,
    Family.FORMAT_REQUEST: _formatted,
    Family.TRUNCATION: _cut,
    Family.MARKUP: _marked_up,
    Family.REPETITION: _doubled,
    Family.VERBOSE: _wordy,
    Family.GRAMMAR: _ungrammatical,
    Family.METADATA: _with_metadata,
    Family.ENCODING: _misdecoded,
}
