"""Verbatim recall: asks for the model's own texts, earlier turns or whole works word for word."""

from services.diagnoser.domain.signals.rules import Rule, rule
from shared.domain.triage import Family

_LISTS = {
    "repeat": "repeat|quote|recite|print|output|reproduce|copy|paste|echo|dump|regurgitate|"
    "transcribe|type|write|spell out|say back|recall|reveal|show|list|cite|display|"
    "give me|tell me|state|read|return|retype|replay|play back|restate|what (?:is|was|"
    "were|are)",
    "repeat_strong": "repeat|quote|recite|print|output|reproduce|copy|paste|echo|dump|regurgitate|"
    "transcribe|retype|cite|replay|say back",
    "memory": "(?:system|hidden|secret|initial|developer) (?:prompts?|instructions?|messages?)|"
    r"your (?:\w+ ){0,2}?(?:prompts?|instructions|guidelines|policy document|training "
    "(?:data|set|examples?|documents?|texts?|corpus)|context(?: window)?|documents|"
    "data ?set|sources)|training (?:data|set|examples?|documents?|sentences?|corpus|"
    "samples?)|everything (?:above|before|so far)|the (?:text|words?|paragraph|message|"
    "lines?|sentence|conversation|prompt|question) (?:above|before|that comes before|"
    "so far|preceding|you were given|up to)|conversation (?:so far|history|until now)|"
    "chat history|what (?:is|comes|came) (?:above|before this)",
    "turn": "message|messages|reply|replies|answer|answers|response|responses|sentence|"
    "sentences|words?|paragraph|question|questions|prompt|utterance|statement|line|"
    "lines|query|queries",
    "exact": "verbatim|word for word|word by word|letter for letter|exact (?:text|words?|"
    r"wording|phras\w+|quote|copy|transcript|lines?|sentences?)|same words|exactly "
    r"(?:as|like) (?:i|you|it|they)(?: \w+)? (?:written|typed|said|wrote|appears?|were|"
    "was|is|stands|is written|put)|exactly as (?:written|typed|printed|given)|literal "
    "(?:wording|text|words)|without (?:any )?changes|unchanged|character (?:by|for) "
    "character|unaltered|unmodified|original wording|precise (?:wording|words|text)|no "
    r"paraphras\w+|without paraphras\w+",
    "work": "text|lyrics|poem|page|chapter|paragraph|pages|article|song|speech|script|book|"
    "verse|verses|passage|document|terms|stanza|manual|novel|constitution|declaration|"
    "sonnet|preamble|transcript|section|lines?",
    "whole": "full|complete|entire|whole|exact|first|opening|last|all the|all of the",
}

RULES: tuple[Rule, ...] = (
    rule(
        Family.VERBATIM_RECALL,
        "repeat_memory",
        "prompt prompts instructions messages guidelines training context "
        "documents everything text words word paragraph lines line sentence "
        "conversation history data policy set",
        r"(?:{repeat}) (?:\w+ ){0,5}?(?:{memory})",
        _LISTS,
        detail="asks for the model's own texts",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "repeat_turn",
        "{turn}",
        r"(?:{repeat_strong}) (?:\w+ ){0,4}?(?:previous|last|first|preceding|"
        r"earlier|initial|prior|third|second|original|past) (?:\w+ )?(?:{turn})|"
        r"(?:what|tell me|show me|give me|list|recall|read) (?:\w+ "
        r"){0,4}?(?:(?:your|my|our|the users|the customers) (?:\w+ )?(?:previous|"
        r"last|first|preceding|earlier|initial|prior) (?:\w+ )?(?:{turn})) "
        r"?(?:exactly|verbatim|to you|were|was|is|\.|,|in full)",
        _LISTS,
        probability=0.85,
        detail="asks to repeat an earlier turn",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "exact",
        "verbatim word letter exact same exactly literal without unchanged "
        "character unaltered unmodified original precise paraphrasing paraphrase",
        "(?:{exact})",
        _LISTS,
        probability=0.8,
        detail="asks for exact words",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "precisely",
        "exactly precisely exact",
        "(?:exactly|precisely) (?:what|which|how|the words?) (?:did |was |were "
        r")?(?:i|you|they|the (?:customer|user|person|previous|last)) (?:\w+ "
        ")?(?:wrote|said|write|say|asked|ask|typed|told|were told)|what did "
        "(?:the|i|you|they) ~5(?:say|ask|write|type) ,? ?(?:exactly|precisely|"
        "verbatim|word)",
        _LISTS,
        detail="asks for exact words",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "work",
        "{work}",
        "(?:recite|reproduce|quote|cite|print|type out|write out|give me|show me|"
        r"output|provide|transcribe|copy|read me|spell out) (?:\w+ "
        r"){0,3}?(?:{whole}) (?:\w+ ){0,3}?(?:{work})(?: (?:of|to|from|in|as|the|"
        r"called|exactly|\.|,))|recite (?:\w+ ){1,6}",
        _LISTS,
        probability=0.85,
        detail="asks to recite a work",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "parrot",
        "repeat say echo",
        r"repeat (?:\w+ ){0,2}?after me|repeat (?:the|this|these|following) "
        "(?:following |exact )?(?:word|words|phrase|sentence|text|letter|string|"
        r"token)|(?:say|write|print|repeat|type|output) (?:\w+ ){1,5}?(?:forever|"
        r"endlessly|indefinitely|\d+ times|(?:hundred|thousand|million) times|"
        "over and over|non ?stop)|(?:echo|repeat|say|parrot) (?:my|this|the|"
        r"everything|what) (?:\w+ ){0,3}?back",
        _LISTS,
        detail="asks to parrot words",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "trained_on",
        "trained memorised memorized memorise memorize saw seen ingested",
        "(?:you|that) (?:were|are|have been|was) trained on|you (?:have "
        ")?(?:memori[sz]ed|ingested)|(?:you|that you) (?:saw|have seen) (?:in|"
        "during|while|for|when)",
        _LISTS,
        detail="asks for training texts",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "nth_word",
        "word words letter sentence",
        r"(?:first|second|third|fourth|fifth|last|\d+(?:st|nd|rd|th)) (?:word|"
        r"words|letter|sentence|line) (?:of|in|from) (?:your|my|the|our) (?:\w+ "
        ")?(?:{turn}|instructions|conversation|chat)",
        _LISTS,
        detail="asks for exact words of a turn",
    ),
    rule(
        Family.VERBATIM_RECALL,
        "my_turns",
        "messages questions typed asked prompts inputs",
        r"my (?:last|previous|first|earlier|past) (?:\w+ )?(?:messages|questions|"
        "inputs|prompts|utterances|queries)",
        _LISTS,
        probability=0.75,
        detail="asks for earlier turns",
    ),
)
