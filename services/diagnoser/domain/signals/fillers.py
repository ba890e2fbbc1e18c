"""Words around a request that do not change its answer: greetings, courtesies, wishes of format."""

import re

_END = r"(?=\s|$|[,.!?;:])"
_STOP = r"\s*(?:[,.!:;–—-]+\s*|\n+|$)"
_WHOM = (
    r"(?:\s+(?:there|all|team|folks|everyone|guys|assistant|bot|sir|madam|friend|again|support"
    r"|people|buddy|mate|dear|helper|agent|[a-z]+ team))*"
)

# What may stand before a request. The first kind needs a stop behind it, the second does not.
_OPENERS = re.compile(
    r"^(?:"
    rf"(?:hi+|hello|hey+a?|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|yo"
    rf"|sup){_WHOM}"
    rf"{_STOP}"
    rf"|(?:hi|hello|hey|howdy|hiya|good (?:morning|afternoon|evening))(?: there| all| team"
    rf"| assistant)?\s+"
    rf"|dear(?: [a-z]+){{1,3}}{_STOP}|to whom it may concern{_STOP}"
    rf"|(?:excuse me|pardon me|pardon){_STOP}|(?:excuse me|pardon me)\s+"
    r"|(?:i )?(?:hope|trust) (?:that )?(?:you|all|this|your|everything"
    r"|things)[^.,!?;:\n]{0,60}[.,!;:\n]\s*"
    r"|(?:so )?(?:so )?(?:sorry|apologies|apologise|apologize)(?: (?:to|for"
    r"|about) [^.,!?;:\n]{1,40}?)?"
    r"(?:\s*[,.!;:]\s*(?:but\s+)?|\s+but\s+)"
    r"|(?:just )?(?:a |one |another )?(?:more )?(?:quick|simple|small|silly|stupid|random"
    r"|dumb|short|little)"
    r" (?:question|one|thing|query|ask)\s*(?:for you)?\s*[:,.!–-]+\s*"
    r"|(?:so )?i(?: ha|')ve (?:got )?(?:a |one |another )?(?:\w+ )?question"
    r"(?: for you)?\s*[:,.!–-]+\s*"
    r"|one (?:more|other|last) thing\s*[:,.!–-]+\s*"
    r"|let me ask(?: you)?(?: something| this| a question)?\s*[:,.!–-]+\s*"
    r"|(?:can|may|could) i (?:just )?ask (?:you )?(?:something|a question"
    r"|one thing)\s*[:,.?!–-]+\s*"
    r"|(?:just |i'?m (?:just )?)?(?:out of curiosity|wondering|curious)\s*[:,.!–-]+\s*"
    r"|(?:first(?: of all)?|to start with)[^.,!?;:\n]{0,50}[,.!]\s*"
    r"|(?:(?:um+|uh+|erm*|hmm+|well|so|ok(?:ay)?|right|alright|anyway|basically|listen|look|like"
    r"|you know)\s*[,.…-]+\s*)+"
    r"|(?:(?:um+|uh+|erm*|hmm+|ok(?:ay)?|so|well|basically|alright|like|anyway)\s+){2,}"
    r"|(?:um+|uh+|erm+|hmm+)\s+"
    r"|(?:not sure|don'?t know|no idea|unsure) (?:if|whether) [^.,!?;:\n]{1,60}?"
    r"(?:\s*,\s*but\s+|\s+but\s+|[,.]\s*)"
    r"|i know (?:that )?(?:you|this|it)[^.,!?;:\n]{1,50}?(?:\s*,\s*but\s+|\s+but\s+|[,.]\s*)"
    r"|(?:many |big )?(?:thanks|thank you|thx|ty|cheers)[^.,!?;:\n]{0,45}[.,!;:]\s*"
    r"|it'?s me again[^.,!?;:\n]{0,30}[.,!;:]\s*|(?:hi |hello )?(?:my name is|this is"
    r"|i'?m) [a-z]+(?: here)?[.!,]\s+"
    r"|(?:(?:i'?m|i am) )?in a (?:bit of a )?(?:hurry|rush)\s*[,.!;:]\s*(?:but\s+|so\s+)?"
    r"|(?:i(?:'?ve| have) been|as) a (?:\w+ )?(?:customer|client|user"
    r"|member)[^.!?;:\n]{0,70}[.!;:]\s*"
    r"|(?:long ?time|first ?time) (?:user|caller|customer)[^.!?;:\n]{0,50}[,.!;:]\s*"
    r"|(?:hey |ok |okay )(?:siri|alexa|google|assistant|bot|computer)\s*[,.!:]?\s+"
    r"|(?:i (?:am|was)|i'?m) (?:just )?(?:wondering|curious),\s*"
    r"|i just want(?:ed)? to ask\s*[,:]?\s+|would you be so kind (?:as )?to\s+"
    r"|(?:if you don'?t mind|if possible|when you (?:have|get) a (?:minute|moment|second"
    r"|chance))\s*,\s*"
    r"|(?:long story short|to be honest|tbh|as a quick check|real quick)\s*[,:]\s*"
    r")",
    re.IGNORECASE,
)
# Wordier openers that intent queries use themselves: stripped only behind another opener.
_HEDGES = re.compile(
    r"^(?:i (?:was|am)(?: just)? wondering if you (?:could|can)(?: please)?(?: tell me)?"
    r"|i just wanted to (?:ask|know))\s*[,:]?\s+",
    re.IGNORECASE,
)
_CLOSERS = re.compile(
    r"(?:^|[\s,.!?;:–—-]+)(?:"
    r"(?:many |big |with )?(?:thanks|thank you|thx|thnx|ty)(?: (?:so much|a lot|in advance"
    r"|very much|again|a bunch"
    r"|a million|and [\w ]{1,25}|for [\w ]{1,30}))*|(?:please and )thank you"
    r"|(?<=[.,!?;:\n–—-] )(?:cheers|regards|best(?: regards| wishes)?|kind regards|sincerely"
    r"|yours(?: truly)?)(?:\s*,\s*[a-z]+)?"
    r"|have a (?:nice|good|great|lovely|wonderful) (?:day|one|evening|weekend|night)"
    r"|any (?:help|advice|info|information) (?:would be |is |will be )?(?:much |greatly "
    r"|really )?(?:appreciated|welcome|great)"
    r"|(?:i(?:'d| would) )?(?:much |really |greatly )?appreciate (?:it|your help|any help)"
    r"|much appreciated"
    r"|take your time|hope (?:that )?(?:helps|makes sense)|sorry to bother you|no rush"
    r")[\s.!,;:)]*$",
    re.IGNORECASE,
)

_SHAPE = (
    r"(?:(?:a |an |the |valid |proper |plain |pure |raw )*(?:json|xml|yaml|csv|markdown|html"
    r"|latex|tables?|tabular form"
    r"|bullet(?:ed)? ?(?:points?|lists?|form)?|bullets|(?:numbered|ordered) (?:list|steps)|"
    r"(?:all |block )?(?:caps|capitals)"
    r"|capital letters|(?:upper|lower) ?case|code block|haiku|rhymes?|verse|emojis?|poem"
    r"|headings|key points"
    r"|(?:a |one |two |three |\d+ |single )+(?:short )?(?:words?|sentences?|lines?"
    r"|paragraphs?|phrase)"
    r"|(?:simple|layman'?s?|plain|formal|easy) (?:terms|words|english|language|text)"
    r"|(?:under|fewer than|less than|at most|no more than|max(?:imum)?|up to|below"
    r"|within) \w+ (?:words|characters|sentences|lines)"
    r"|json object|dictionary|list form|list format|point form))(?: format| form| please"
    r"| only| style)*"
)
_FORMAT = re.compile(
    r"(?:"
    r"(?:please |kindly |can you |could you |and |also |i (?:want|need|would like) (?:you to "
    r"|the answer |it )?)*"
    r"(?:answer|respond|reply|return|format|output|present|write|give|explain|provide|put"
    r"|state|deliver|show|summari[sz]e)?"
    r"(?: ?(?:me|it|that|this|your|the|a|my|all|answer|reply|response|output|result|results"
    r"|back|everything|info))*"
    rf" ?(?:in|as|with|using|use|like|under|into|formatted as|structured as|of) {_SHAPE}"
    rf"|(?:answer|respond|reply|use|using|format) ?(?:in |with |as |your answer )?{_SHAPE}"
    r"|(?:please )?(?:keep|make) (?:it|this|your (?:answer|response|reply)|the (?:answer"
    r"|response|reply)|things?)"
    r" (?:very |really |nice and |as )?(?:short|brief|concise|simple|to the point"
    r"|under \w+ words|formal|casual|crisp)(?: please| and \w+)?"
    r"|(?:please )?be (?:very |as )?(?:brief|concise|succinct|short|quick|specific|detailed)"
    r"(?: please| as possible)?"
    r"|(?:give me )?(?:a |the |only )*(?:short|brief|concise|one[- ]word|detailed|quick|yes"
    r"(?: |/)or(?: |/)no|yes/no|single word) answers?(?: please| only)*"
    r"|\(?yes or no(?: only| please|\?)*\)?"
    r"|(?:with )?no (?:explanations?|preamble|filler|fluff|extra text|small talk|prose|intro"
    r"|commentary|details)"
    r"(?:(?:,| or| and)? (?:no )?(?:explanations?|preamble|filler|fluff|needed|necessary|please))*"
    r"|(?:just|only) (?:give me )?the (?:answer|result|number|facts)(?: please)?"
    r"|(?:please )?limit (?:your|the) (?:response|answer|reply)s? to [^.,!?;:\n]{1,30}"
    r"|(?:please )?explain (?:it |this )?(?:to me )?like (?:i'?m|i am|im) (?:a )?(?:five|5"
    r"|child|kid|\w+ years? old)|eli5|tl;?dr"
    r"|(?:step[- ]by[- ]step)(?: please| instructions)?|max(?:imum|\.)? \w+ words|in (?:under"
    r"|fewer than|less than) \w+ words"
    r"|(?:and )?format (?:it|this|your answer|the (?:answer|output|response))(?: nicely)?"
    r"(?: with| as| in)? [^.,!?;:\n]{1,25}"
    r"|write your (?:answer|response|reply) in [^.,!?;:\n]{1,25}"
    r")",
    re.IGNORECASE,
)
# Every wish of format holds one of these; most texts hold none and need no closer look. Searched in
# small letters: to ignore case takes five times as long.
_HINT = re.compile(
    r"json|xml|yaml|csv|markdown|html|latex|as a table|a table[,.:]|tabular|bullet|numbered|ordered"
    r"|caps|capitals|letters|er ?case|code block|haiku|rhyme|verse|emoji|poem|headings"
    r"|key points|to the point|point form|words?\b|sentence|in (?:a|one|two) lines?|paragraph"
    r"|phrase"
    r"|terms|(?:plain|formal|simple|easy) \w|dictionary|list form|keep (?:it|this|your|the|thing)"
    r"|make (?:it|this|your|the|thing)|brief|concise|succinct|be (?:very |as )?(?:short|quick"
    r"|specific)"
    r"|be (?:very )?detailed|answer|yes or no|explanation|preamble|filler|fluff|small talk|prose"
    r"|no intro|commentary|no details|the (?:result|number|facts)|limit (?:your|the) r|explain"
    r"|eli5|tl;?dr|step|format|repl(?:y|ies)|respon"
)
_WORD = re.compile(r"\w+")
_FEWEST_WORDS = 2


def strip_preamble(text: str) -> str:
    """The text without greetings and courtesies at its ends; itself when nothing else is said."""
    rest, hedged = text.strip(), False
    for _ in range(6):
        shorter = _OPENERS.sub("", rest, count=1)
        if hedged:
            shorter = _HEDGES.sub("", shorter, count=1)
        if not _says_something(shorter):
            break
        if shorter == rest:
            break
        rest, hedged = shorter, True
    for _ in range(3):
        shorter = _CLOSERS.sub("", rest)
        if shorter == rest or not _says_something(shorter):
            break
        # The stop that a closing courtesy stood behind belongs to the request.
        kept = rest[len(shorter) : len(shorter) + 1]
        rest = shorter.rstrip(" ,;:–—-") + (
            kept if kept in "?!" and not shorter.endswith(("?", "!")) else ""
        )
    return rest if _says_something(rest) else text


def strip_format_request(text: str) -> tuple[str, bool]:
    """The text without wishes of how to answer, and whether there was one.

    A wish in the middle of a clause is seen but left where it is: what remains might not hold
    together.
    """
    seen = False
    if not _HINT.search(text.casefold()):
        return text, False
    for found in list(_FORMAT.finditer(text)):
        start, end = found.span()
        if not _bounded(text, start, end) or not _WORD.search(found.group()):
            continue
        seen = True
        before, after = text[:start].rstrip(" ,;:–—-("), text[end:].lstrip(" ,;:–—-.)!")
        if not before and _says_something(after):
            return strip_format_request(after)[0], True
        if not after and _says_something(before):
            return strip_format_request(before)[0], True
        if before.endswith((".", "?", "!")) and _says_something(before + after):
            return f"{before} {after}", True
    return text, seen


def _bounded(text: str, start: int, end: int) -> bool:
    """Whether the wish is a clause of its own: stops or the text's ends on both sides."""
    left, right = text[:start].rstrip(), text[end:].lstrip()
    starts = not left or left[-1] in ".,;:!?-–—(" or text[start:end].startswith(("please ", "and "))
    ends = not right or right[0] in ".,;:!?-–—)"
    whole_words = (start == 0 or not text[start - 1].isalnum()) and (
        end == len(text) or not text[end].isalnum()
    )
    return whole_words and ends and (starts or (not right and bool(left)))


def _says_something(text: str) -> bool:
    return len(_WORD.findall(text)) >= _FEWEST_WORDS
