"""Prompt injection: verbs of setting aside × instructions, feigned turns, dictated answers."""

import re

from services.diagnoser.domain.signals.rules import Rule, rule
from shared.domain.triage import Family

_LISTS = {
    "ignore": "ignore|ignoring|disregard|disregarding|forget|override|overrule|overwrite|bypass|"
    "disobey|do not follow|do not obey|stop following|stop obeying|pay no attention to|"
    "set aside|throw away|throw out|never mind|nevermind|no longer follow|unlearn",
    "undo": "skip|drop|discard|dismiss|overlook|neglect|erase|delete|remove|cancel|void|"
    "suspend|abandon|replace|reset|clear|rewrite|disable|break|violate|wipe|revoke|"
    "scrap|abort",
    "instructions": "instructions?|prompts?|rules|guidelines?|directives?|directions|commands?|"
    "programming|guidance|protocols?|constraints|policies|configuration|safeguards|"
    "polic(?:y|ies)|safety filters?|guardrails|restrictions|limitations",
    "orders": "orders|task|role|job|goal|objective|persona|identity",
    "prior": "previous|prior|earlier|above|preceding|former|foregoing|initial|original|existing|"
    "current|system|your|built in|default|old",
    "all": "everything|anything|all|whatever|what|the text|the message|the content|the "
    "context|the conversation|the question|the query|the input|any text|the words",
    "before": "above|before|previously|previous|prior|earlier|preceding|so far|up to now|until "
    "now|up to this point|you were told|you have been told|you know|you learned|i said",
    "gone": "void|cancelled|canceled|overridden|overruled|replaced|suspended|lifted|revoked|no "
    "longer (?:valid|apply|in force|binding)|obsolete|erased|invalid|deleted|outdated",
    "answer": "answer|reply|respond|return|output|print|say|write|type|emit|produce|responding|"
    "answering|replying",
    "label": "classify|label|categorize|categorise|tag|mark|treat|flag|interpret",
    "this": r"(?:this|the|next|my|that|following|above|user|entire|whole|input)(?: \w+){0,2}? "
    "(?:text|message|query|request|input|question|conversation|sentence|example|"
    "utterance|prompt)|it|this|everything|that",
    "dictated": "(?:the |this |that )?(?:exact )?(?:word|label|phrase|string|code|token|intent|"
    "category|class|letters|sentence|option|number)",
    "maker": "developers?|creators?|admin|admins|administrators?|sysadmin|root|programmers?|"
    "engineers?|operators?|openai|anthropic|google|masters?|superuser|security team",
    "order": "order|command|instruct|override|overrule|suspend|bypass|disable|reveal|ignore|"
    "skip|disregard|unlock|demand|require you|grant|obey",
    "secret": "(?:system|hidden|secret|initial|developer|internal|original|full|admin) "
    "(?:prompts?|instructions?|messages?|configuration|panel|keys?|rules|passwords?)|"
    r"your (?:\w+ )?(?:prompt|instructions|configuration|config|source code|api keys?|"
    "secrets?|credentials|internal rules|guidelines|programming|system message)",
    "reveal": "reveal|show|print|display|output|expose|leak|tell me|give me|disclose|share|"
    "divulge|send me|what is|what are|list|dump",
}

RULES: tuple[Rule, ...] = (
    rule(
        Family.PROMPT_INJECTION,
        "set_aside",
        "{ignore}",
        "{ignore} ~6{instructions}",
        _LISTS,
        probability=0.97,
        detail="asks to set instructions aside",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "undo_prior",
        "{undo}",
        "{undo} ~2{prior} ~2(?:{instructions}|{orders})",
        _LISTS,
        detail="asks to undo earlier instructions",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "set_aside_text",
        "{ignore}",
        "{ignore} ~1{all} ~4{before}",
        _LISTS,
        probability=0.95,
        detail="asks to set aside what was said before",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "rules_gone",
        "{gone} no",
        "(?:{prior}|all|these|those) ~3(?:{instructions}|orders) ~3(?:is|are|has "
        "been|have been|were|get) ~3{gone}|everything ~4(?:told|said|before|"
        "above) ~2(?:is|are|was|has been) ~2{gone}",
        _LISTS,
        detail="says that its rules hold no longer",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "new_orders",
        "new real true actual only",
        r"(?:(?:your|the|here are|here is|these|following) (?:\w+ )?(?:new|real|"
        "true|actual) (?:{instructions}|{orders}|orders|boss|master|owner) "
        r"?(?:is|are|,|\.|to|as|will|instead)?|. new (?:{instructions}|{orders}|"
        r"orders) \.|you have (?:a )?new (?:{instructions}|{orders}|boss|master|"
        "owner|orders)|your only (?:{orders}|purpose))",
        _LISTS,
        detail="gives the model a new task",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "dictated_label",
        "{label}",
        "{label} {this} ~2(?:as|with|under|to be|=)",
        _LISTS,
        detail="dictates the label",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "dictated_answer",
        "{answer}",
        "{answer} ~3(?:only|just|always|simply|exactly|nothing but|instead|must "
        "be|back) ~3{dictated}|(?:only|just|always|simply|now|instead|and|then|"
        r"\.|must|to|you) (?:,? ?)(?:you )?(?:answer|reply|respond|output|return|"
        "print) ~2(?:with|as)? ?~1{dictated}",
        _LISTS,
        detail="dictates the answer",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "whatever_asked",
        "{answer} {label} answers label category intent response outputs choose",
        "(?:(?:no matter|regardless|whatever|irrespective) ~~9(?:{answer}|"
        "{label}|answers|label|category|intent|response|choose)|(?:{answer}|"
        "{label}|label|category|intent|response) ~~9(?:no matter what|regardless "
        "of|whatever (?:the|it|i|this|is|they)|irrespective))",
        _LISTS,
        detail="wants one answer whatever is asked",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "answer_must",
        "reply replies answer answers response responses output outputs message",
        "(?:your|every|each|all|the|any|its) ~1(?:repl(?:y|ies)|answers?|"
        r"responses?|outputs?|messages?) (?:\w+ )?(?:must|should|will|shall|has "
        r"to|have to|needs? to) (?:\w+ )?(?:begin|start|end|contain|include|say|"
        "equal|be(?! (?:in|as|short|brief|concise|under|less|no|formatted|at|"
        "given|formal|simple)))",
        _LISTS,
        detail="dictates what every answer holds",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "from_now",
        "from",
        "from (?:now|here|this point|this moment|here) (?:on|onwards?|forward|on "
        "out) ,? ?(?:you (?:will|must|shall|are|answer|respond|only|act|have|"
        "obey)|every|all|any|obey|only|your|always (?:answer|reply|respond|say)|"
        "act|ignore|answer|reply|respond|consider|treat|classify)",
        _LISTS,
        detail="changes the rules from now on",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "instead_output",
        "instead",
        "(?:instead ,? ?(?:just |simply |only |please )?(?:print|output|reply|"
        "respond|return|say|answer|write|tell me|act|do|execute|run|reveal)|do "
        "not (?:classify|answer|label|respond to|categori[sz]e|process) ~6)",
        _LISTS,
        detail="wants something else instead of an answer",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "no_answer",
        "classify label categorize categorise process answer",
        "(?:do not|stop|never|instead of|without) (?:classify|classifying|label|"
        "labelling|labeling|categori[sz]e|categori[sz]ing|answer|answering) "
        "(?:the|this|my|that|any|it)",
        _LISTS,
        detail="forbids the task itself",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "authority",
        "{maker}",
        r"(?:i am|this is|from|speaking as|as|by) (?:\w+ ){0,3}{maker} ~~12{order}",
        _LISTS,
        detail="claims an authority to give orders",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "reveal_secret",
        "prompt prompts instructions instruction messages message configuration "
        "config code keys key secrets secret credentials panel rules guidelines "
        "programming password passwords",
        "{reveal} ~4{secret}",
        _LISTS,
        detail="asks for hidden instructions",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "secret_named",
        "system systemprompt system_prompt initial hidden internal instructions instructed",
        "(?:system|hidden|initial|secret) ?_?(?:prompt|instructions?|"
        r"configuration|message)|your (?:\w+ )?(?:initial|original|internal|"
        "system|secret|hidden) (?:prompt|instructions?|configuration|rules|"
        "guidelines)|instructions (?:that )?you (?:were|have been|got|received)|"
        "(?:my|your) instructions (?:are|were)|(?:i was|you were) instructed to|"
        "(?:what )?(?:were|was) you told",
        _LISTS,
        probability=0.85,
        detail="speaks of hidden instructions",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "obey",
        "obey execute act follow listen",
        "(?:obey (?:only )?(?:me|this|these|my|the)|(?:only|just) (?:listen|"
        "obey) (?:to )?me|act on (?:this|the following|these)|execute (?:the "
        "following|this|these|my) ~1(?:commands?|code|instructions?|script|query|"
        "task)|follow (?:these|the following|my|this) ~1(?:instructions?|"
        r"commands?|orders|directives?|rules) ?(?:instead|only|now|exactly|\.|,))",
        _LISTS,
        probability=0.85,
        detail="asks for obedience",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "do_as_text",
        "says say tell",
        r"do (?:\w+ )?(?:what|as) (?:this|the) (?:\w+ )?(?:text|message|line|"
        "prompt|note|sentence) (?:says|tells|orders|asks)",
        _LISTS,
        detail="wants a text obeyed",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "fresh_start",
        "afresh anew begin start restart",
        r"(?:begin|start|restart) (?:afresh|anew|over|again|from scratch) (?:\w+ "
        ")?as|you (?:now )?(?:work for me|belong to me|answer (?:only )?to me)",
        _LISTS,
        detail="starts the model afresh",
    ),
    rule(
        Family.PROMPT_INJECTION,
        "end_of_input",
        "end",
        "end of (?:the )?(?:user |system )?(?:input|prompt|message|query|"
        "instructions|context|text|conversation|document|data)",
        _LISTS,
        detail="feigns the end of the input",
    ),
)

# Marks that only show in the raw text: other roles' turns, and code where words should be.
MARKS: tuple[tuple[str, re.Pattern[str], float, str], ...] = (
    (
        "role_markup",
        re.compile(
            r"<\|?/?(?:im_start|im_end|system|assistant|user|endoftext|eot_id|start_header_id)\|?>"
            r"|\[/?(?:inst|sys|system|assistant|admin|instructions?|prompt)\b[^\]]{0,20}\]"
            r"|<</?sys>>|</?(?:system|instructions?|prompt|user|assistant|input|query|context)>"
            r"|#{2,}\s*(?:new |system )?(?:instructions?|system|human|assistant|response|prompt)\b"
            r"|(?:^|[\n.!?>\]|])\s*(?:system|assistant|developer|admin)"
            r"(?: (?:message|prompt|override|note|instruction))?\s*[:>]",
            re.IGNORECASE,
        ),
        0.93,
        "feigns another speaker's turn",
    ),
    (
        "code",
        re.compile(
            r"['\"]\s*;?\s*(?:drop|delete|insert|update|select)\s+\w+.{0,40}--|\bdrop\s+table\b"
            r"|\bunion\s+(?:all\s+)?select\b|['\"]\s*or\s+['\"]?1['\"]?\s*=\s*['\"]?1|<script\b"
            r"|\brm\s+-rf\b|\$\{jndi|javascript:|\bos\.system\(|\beval\(|\bsudo\s+\w+",
            re.IGNORECASE,
        ),
        0.9,
        "carries code meant to be run",
    ),
)
