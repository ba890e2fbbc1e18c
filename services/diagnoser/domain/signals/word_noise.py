"""Noise of words, each as a step: a text, to a cleaner one and whether the noise was there."""

import re

from services.diagnoser.domain.signals.common_words import COMMON
from services.diagnoser.domain.signals.form_noise import WORD
from services.diagnoser.domain.signals.misspelling import Vocabulary

_SLANG = {
    "u": "you", "ur": "your", "r": "are", "plz": "please", "pls": "please", "plzz": "please",
    "thx": "thanks", "thnx": "thanks", "ty": "thank you", "gonna": "going to", "wanna": "want to",
    "gotta": "got to", "gimme": "give me", "lemme": "let me", "dunno": "do not know",
    "cuz": "because", "coz": "because", "bcoz": "because", "bc": "because", "b4": "before",
    "gr8": "great", "l8r": "later", "2morrow": "tomorrow", "tmrw": "tomorrow", "tmr": "tomorrow",
    "2nite": "tonight", "2day": "today", "tho": "though", "thru": "through",
    "idk": "i do not know", "wut": "what", "wat": "what", "wud": "would", "cud": "could",
    "shud": "should", "kno": "know", "abt": "about", "msg": "message", "ppl": "people",
    "smth": "something", "sth": "something", "y'all": "you all", "yall": "you all",
    "kinda": "kind of", "sorta": "sort of", "outta": "out of", "w/": "with", "w/o": "without",
    "dis": "this", "dat": "that", "da": "the", "ma": "my", "luv": "love", "gud": "good",
    "nite": "night", "acct": "account", "rn": "right now", "asap": "as soon as possible",
    "imma": "i am going to", "finna": "going to", "whatcha": "what are you", "howz": "how is",
    "wassup": "what is up", "wanna know": "want to know", "hafta": "have to",
    "shoulda": "should have", "coulda": "could have",
}  # fmt: skip
_EMPTY = "lol lmao omg bruh bro dude fam ngl tbh smh btw lmk rofl haha hehe af"
_EMPTY_SLANG = frozenset(_EMPTY.split())
_BIT = re.compile(
    r"(?<!\S)(w/o|w/|[^\W_]+(?:['’][^\W_]+)*)(?=[\s,!?;:]|[.](?:\s|$)|$)", re.IGNORECASE
)


def slang(text: str, vocabulary: Vocabulary) -> tuple[str, bool]:
    seen = False

    def plain(found: re.Match[str]) -> str:
        nonlocal seen
        word = found.group().casefold()
        if found.group()[0].isupper() and found.start() > 0 and not text.isupper():
            return found.group()
        if vocabulary.counts.get(word, 0) >= 2 or (word not in _SLANG and word not in _EMPTY_SLANG):
            return found.group()
        seen = True
        return _SLANG.get(word, "")

    clean = re.sub(r"\s{2,}", " ", _BIT.sub(plain, text)).strip(" ,")
    return (clean, True) if seen else (text, False)


def cut(text: str, vocabulary: Vocabulary) -> tuple[str, bool]:
    words = text.split()
    if len(words) < 3 or not words[-1].isalpha():
        return text, False
    whole = vocabulary.whole_of(words[-1].casefold())
    # One letter missing is as well a slip; only "the" and the like cannot end a sentence.
    if whole:
        return " ".join([*words[:-1], whole]), True
    return text, words[-1].casefold() in {
        "the",
        "a",
        "an",
        "my",
        "your",
        "and",
        "or",
        "our",
        "their",
    }


def misspelt(text: str, vocabulary: Vocabulary) -> tuple[str, bool]:
    seen = False

    def mended(found: re.Match[str]) -> str:
        nonlocal seen
        word = found.group()
        # A capital within a sentence is a name.
        if word[0].isupper() and found.start() > 0 and not text.isupper():
            return word
        meant = vocabulary.meant_by(word.casefold().replace("’", "'"))
        seen = seen or meant is not None
        return meant or word

    return WORD.sub(mended, text), seen


_WORDS = """
    por favor gracias hola donde dónde como cómo cuando cuándo para pero porque quiero necesito
    dinero mañana hoy mi el los las una con está estoy tengo puedo ayuda cuenta tarjeta amigo
    bitte danke wo wie wann und ist nicht ich mein meine das ein eine mit heute morgen geld brauche
    möchte kann hallo karte konto s'il vous plait plaît merci bonjour où comment quand et est je mon
    ma avec aujourd'hui demain argent besoin veux puis carte compte grazie prego ciao dove sono mio
    oggi domani soldi obrigado onde quero meu minha hoje le les des pour mais
    """
_FOREIGN = frozenset(_WORDS.split())


def switched(text: str, vocabulary: Vocabulary) -> tuple[str, bool]:
    words = words_of(text)
    foreign = [
        word
        for word in words
        if word in _FOREIGN and not vocabulary.knows(word) and word not in COMMON
    ]
    strong = [word for word in foreign if len(word) >= 4]
    # A text wholly in another language is no mixture.
    return text, len(words) >= 3 and len(foreign) < 0.8 * len(words) and (
        len(foreign) >= 2 or bool(strong)
    )


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [word.casefold().replace("’", "'") for word in WORD.findall(text)]
