"""What people and machines write around, and instead of, a request: pools of phrases.

Every pool has two halves that share no phrase. Whatever is tuned is tuned on ``development``; the
published table is made of ``evaluation`` alone. ``{slots}`` are filled from ``SLOTS``; ``{text}``
is the row's own text and ``{label}`` a label of the scenario.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Templates(StrEnum):
    """Which half of every pool is used."""

    DEVELOPMENT = "development"
    EVALUATION = "evaluation"


@dataclass(frozen=True, slots=True)
class Phrases:
    """One pool; at least twelve phrases in each half."""

    development: tuple[str, ...]
    evaluation: tuple[str, ...]

    def half(self, templates: Templates) -> tuple[str, ...]:
        """The phrases of one half."""
        return self.development if templates is Templates.DEVELOPMENT else self.evaluation


_SLOT = re.compile(r"\{([a-z_]+)\}")


def filled(template: str, rng: Random, **given: str) -> str:
    """The template with every slot filled, the given ones first. Raises KeyError if unknown."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in given:
            return given[name]
        if name in _NUMBERS:
            return str(rng.randint(*_NUMBERS[name]))
        return rng.choice(SLOTS[name])

    return _SLOT.sub(value, template)


_NUMBERS = {"n": (2, 48), "m": (3, 95), "year": (1805, 2019), "id": (100000, 9999999)}

SLOTS: dict[str, tuple[str, ...]] = {
    "name": ("Maria", "Tom", "Priya", "Kenji", "Olu", "Sara", "Miguel", "Anna", "Leo", "Fatima"),
    "city": ("Lisbon", "Osaka", "Denver", "Leeds", "Nairobi", "Quito", "Turin", "Perth", "Lagos"),
    "animal": ("otter", "gecko", "heron", "goat", "octopus", "badger", "parrot", "hedgehog"),
    "plant": ("tomato", "fern", "olive tree", "orchid", "lavender", "cactus", "rose", "basil"),
    "thing": ("marbles", "pencils", "apples", "stickers", "oranges", "books", "cupcakes", "coins"),
    "person": ("Ada Lovelace", "Galileo", "Marie Curie", "Darwin", "Cleopatra", "Gandhi", "Bach"),
    "country": ("Peru", "Norway", "Ghana", "Vietnam", "Portugal", "Canada", "Egypt", "Chile"),
    "element": ("sodium", "helium", "iron", "copper", "argon", "calcium", "neon", "zinc"),
    "function": ("flatten", "rotate_list", "is_prime", "word_count", "merge_sorted", "gcd"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Sunday"),
    "hex": ("9f3ac1", "b07e44", "e1d2c9", "47aa0f", "c3b8d5", "0fe912", "7d61b2"),
    "ip": ("10.2.14.7", "192.168.4.31", "172.16.8.90", "10.44.0.3", "192.168.90.12"),
    "device": ("iPhone 12", "Pixel 7", "Galaxy S21", "iPad", "old laptop", "work computer"),
}

PREAMBLE = Phrases(
    development=(
        "hi there, ",
        "Good morning! ",
        "hello, hope you're doing well. ",
        "hey quick question, ",
        "Sorry to bother you, but ",
        "ok so ",
        "Hi, this is {name}. ",
        "hey i've been meaning to ask, ",
        "not sure if this is the right place but ",
        "Dear support team, ",
        "i was wondering if you could help me, ",
        "so basically what i need is this: ",
        "Thanks in advance! ",
        "Hello, first time using this. ",
        "My wife told me to ask you: ",
    ),
    evaluation=(
        "good evening, ",
        "Hiya! ",
        "greetings, i have a small request. ",
        "excuse me, ",
        "yo, ",
        "um, alright, here goes: ",
        "To whom it may concern, ",
        "hello again, it's {name} from {city}. ",
        "i know you must be busy, but ",
        "if it isn't too much trouble, ",
        "hey so i'm on the train right now and ",
        "Could I ask you something? ",
        "Right, let me try this. ",
        "long time customer here, ",
        "a colleague said you could sort this out: ",
    ),
)

FORMAT_REQUEST = Phrases(
    development=(
        " answer in one sentence",
        " (reply as JSON please)",
        " keep it short",
        ". Give me the answer as a bullet list.",
        " respond with yes or no only",
        " - in plain english pls",
        ". Please use no more than 20 words.",
        " and put it in a table",
        ". Format: key: value",
        " explain step by step",
        ", short answer only",
        ". Output in markdown.",
        " just give me the number",
    ),
    evaluation=(
        " be brief",
        ". Return the result as XML.",
        " give me a numbered list",
        " (no explanations needed)",
        ", one word is enough",
        ". I need it in CSV format.",
        " tell me like i'm five",
        " and write it in capital letters",
        ". Max two lines please.",
        " - bullet points would be great",
        ". Answer formally.",
        " send it as plain text",
        ", and include a summary at the end",
    ),
)

HTML = Phrases(
    development=(
        "<p>{text}</p>",
        '<div class="msg">{text}</div>',
        "<b>{text}</b>",
        "{text}<br><br>",
        '<span style="color:#333">{text}</span>',
        "&nbsp;&nbsp;{text}&nbsp;",
        "<html><body>{text}</body></html>",
        "<li>{text}</li>",
        "<font size=2>{text}</font>",
        '<td align="left">{text}</td>',
        '{text}<img src="cid:{hex}"/>',
        '<blockquote type="cite">{text}',
    ),
    evaluation=(
        "<br/>{text}<br/>",
        '<p style="margin:0">{text}<o:p></o:p></p>',
        "<em>{text}</em>",
        '<a href="#">{text}</a>',
        "<h3>{text}</h3>",
        "<pre>{text}</pre>",
        '<section id="q{n}">{text}</section>',
        "&lt;p&gt;{text}&lt;/p&gt;",
        '<textarea name="query">{text}</textarea>',
        '<div dir="ltr">{text}<div><br></div></div>',
        "<!-- message -->{text}",
        '<label for="in{n}">{text}</label>',
    ),
)

MISSING_MODALITY = Phrases(
    development=(
        " see attached screenshot",
        " [image]",
        ", as you can see in the photo",
        " (voice message 0:{n})",
        " <attachment: IMG_{id}.jpg>",
        ". I've attached the pdf.",
        " look at this picture",
        " [video omitted]",
        ", see the file i uploaded",
        " - screenshot below",
        " [sticker]",
        ". The scan is attached.",
    ),
    evaluation=(
        " pic attached",
        " <media omitted>",
        ", like in the image above",
        " [audio]",
        " document_{id}.docx",
        ". Please see the enclosed photo.",
        " (screen recording attached)",
        " as shown in the chart",
        " [GIF]",
        ", the receipt is in the attachment",
        " photo_{n}.png",
        ". Here's a snapshot of my screen:",
    ),
)

RAMBLE = Phrases(
    development=(
        "I was going to do this last week but then my sister came to visit and we ended up cooking "
        "for the whole family, you know how it is.",
        "It has been raining here in {city} for {n} days straight and I am stuck at home.",
        "The dog has been barking at the neighbours since six this morning so forgive me if I "
        "lose my train of thought.",
        "I just moved into a new flat and everything is still in boxes.",
        "Anyway, my coffee is getting cold while I type this on my {device}.",
        "To be honest I have never been very good with this kind of thing, my son usually helps.",
        "I had a long call with my brother yesterday about something completely different.",
        "We are leaving for {city} on {day} and there are a hundred things to do before that.",
        "I read somewhere that it is best to just ask, so here I am asking.",
        "My back has been hurting from sitting all day, but that is another story.",
        "Sorry for the long message, I tend to write the way I talk.",
        "The kids are at football practice until five so I finally have some quiet.",
    ),
    evaluation=(
        "It's been one of those weeks where nothing goes to plan, first the boiler broke, then "
        "the car would not start.",
        "I am writing from my {device}, so please excuse any mistakes.",
        "My neighbour {name} was just here borrowing the ladder again.",
        "Normally I would look this up myself but I left my glasses at the office.",
        "We had a lovely weekend by the lake, the weather held up the whole time.",
        "I've got about {n} minutes before my next meeting starts.",
        "My mother always says patience is a virtue, though I never had much of it.",
        "By the way, the garden is finally coming along after all that work in spring.",
        "I hope this is not a silly thing to write in about.",
        "There was a huge queue at the bakery this morning and I nearly gave up.",
        "I tried to explain all this to my friend {name} and got completely tangled up.",
        "The cat just walked over my keyboard, I think I fixed what she typed.",
    ),
)

METADATA = Phrases(
    development=(
        "[session={hex} user={id}] {text}",
        "{text} -- ticket #{id}",
        '2025-03-{n} 14:{n}:07 INFO msg="{text}"',
        '{"query": "{text}", "lang": "en"}',
        "{text} | channel=web | locale=en_US",
        "user_{id}: {text}",
        "trace-id {hex}{hex} {text}",
        "{text} (sent from my {device})",
        "<ts={id}> {text}",
        "src={ip} q={text}",
        "{text} [utm_source=mail&utm_campaign={hex}]",
        "req#{id} >> {text}",
    ),
    evaluation=(
        "{text} conversation_id:{hex}-{id}",
        "DEBUG handler.py:{n} input={text}",
        "[{ip}] {text}",
        "From: {name}@example.com Subject: question Body: {text}",
        '{"uid": {id}, "text": "{text}"}',
        "{text} #ref-{id}",
        "msg_id={hex}; body={text}",
        "[chat {n}/{m}] {name}: {text}",
        "{text} ~ Get Outlook for Android",
        "agent=bot-{n} turn={m} utterance={text}",
        "{text} || tz=UTC+{n}",
        "event:message data:{text}",
    ),
)

SLANG_TAIL = Phrases(
    development=(
        " lol",
        " tbh",
        " asap bro",
        " fr fr",
        " ya know",
        " smh",
        " cheers mate",
        " idk man",
        " lmk",
        " thx fam",
        " ugh",
        " no cap",
    ),
    evaluation=(
        " haha",
        " ngl",
        " pretty pls",
        " dude",
        " imo",
        " ffs",
        " ta luv",
        " innit",
        " kthx",
        " omg",
        " yall",
        " deadass",
    ),
)

SLANG_WORDS = Phrases(
    development=(
        "you=u",
        "please=pls",
        "want to=wanna",
        "because=cuz",
        "thanks=thx",
        "before=b4",
        "are=r",
        "money=cash",
        "what is=whats",
        "going to=gonna",
        "though=tho",
        "about=bout",
        "message=msg",
        "tomorrow=tmrw",
    ),
    evaluation=(
        "your=ur",
        "to=2",
        "for=4",
        "with=w/",
        "without=w/o",
        "have to=gotta",
        "give me=gimme",
        "let me=lemme",
        "people=ppl",
        "tonight=2nite",
        "okay=k",
        "could you=cud u",
        "very=v",
        "know=kno",
    ),
)

CODE_SWITCH_TAIL = Phrases(
    development=(
        ", por favor",
        " gracias",
        ", bitte",
        " danke schon",
        " rapido, es urgente",
        ", amigo",
        " wenn es geht",
        ", me entiendes?",
        " schnell bitte",
        ", porque lo necesito hoy",
        ", vielen dank im voraus",
        " ahora mismo",
    ),
    evaluation=(
        ", s'il vous plait",
        " merci beaucoup",
        ", per favore",
        " grazie mille",
        ", por gentileza, obrigado",
        " vite svp",
        ", capito?",
        " alsjeblieft",
        ", c'est urgent",
        " dank je wel",
        ", subito",
        " preciso disso hoje",
    ),
)

CODE_SWITCH_WORDS = Phrases(
    development=(
        "the=el",
        "my=mi",
        "and=y",
        "is=ist",
        "not=nicht",
        "with=con",
        "for=para",
        "today=heute",
        "where=donde",
        "when=cuando",
        "how=wie",
        "new=nuevo",
        "can=kann",
        "have=tengo",
    ),
    evaluation=(
        "the=le",
        "my=il mio",
        "and=et",
        "is=est",
        "not=pas",
        "with=avec",
        "for=pour",
        "today=oggi",
        "where=ou",
        "when=quand",
        "how=come",
        "new=novo",
        "can=peux",
        "have=ho",
    ),
)
