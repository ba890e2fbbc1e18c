"""Assumed context: what points at an earlier talk that is not there."""

from services.diagnoser.domain.signals.rules import Rule, rule
from shared.domain.triage import Family

_LISTS = {
    "talk": "conversation|chat|session|discussion|message|messages|email|emails|question|"
    "request|suggestion|answer|reply|response|ticket|exchange|thread|topic|query|"
    "recommendation|explanation|advice|statement|idea|point|proposal",
    "earlier": "previous|earlier|last|prior|our|older|preceding|above|former|initial|first|"
    "original|recent|most recent|yesterdays|this mornings",
    "refer": "regarding|following up on|following up|follow up on|follow up to|referring to|in "
    "reference to|with reference to|reference to|as per|per|continue|continuing|return "
    "to|back to|concerning|based on|building on|according to|in response to|further to|"
    "about|picking up|resume|considering|responding to|reply to|replying to|relating to",
    "spoke": "mentioned|listed|suggested|recommended|described|discussed|talked about|spoke "
    "about|told you|told me|gave you|gave me|showed you|showed me|sent you|asked you|"
    "were talking about|were discussing|said (?:before|earlier|previously)|asked "
    "(?:before|earlier)|explained|pointed out|proposed|brought up|covered",
    "which": "first|second|third|fourth|fifth|last|other|next|previous|former|latter|final|one|"
    "ones|thing|option|suggestion|idea|answer|place|step|plan|method|part|point|link",
}

RULES: tuple[Rule, ...] = (
    rule(
        Family.ASSUMED_CONTEXT,
        "same_as",
        "same",
        r"(?:the )?same (?:\w+ ){0,3}?(?:as|like|from) (?:before|last (?:time|"
        "week|month|one)|earlier|yesterday|previously|always|usual|the (?:last|"
        "previous|other|first) (?:one|time)|i (?:told|gave|said|asked|used|did))|"
        r"\. (?:\w+ ){0,2}?(?:the )?same (?:question|thing|again|story|request|"
        r"deal|one|as (?:above|that|previous))(?: \w+)? ?(?:\.|,|but|again|for|"
        "please|with|as (?:last|before))|same (?:thing|question|request) "
        "(?:again|for me|please|but|as (?:last|before))|(?:do|use|want|give|"
        "like) (?:me )?the same ~3i (?:gave|told|sent|showed)",
        _LISTS,
        detail="points at an earlier talk: the same as then",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "the_one_you",
        "{spoke} talked spoke said asked talking discussing",
        r"(?:{which})s? (?:\w+ ){0,2}?(?:you|i|we) (?:just |already |had |have |"
        r"were )*(?:{spoke})|(?:what|that|those|which|everything|anything) (?:\w+ "
        ")?(?:you|i|we) (?:just |already |had |have )*(?:{spoke})",
        _LISTS,
        detail="points at something mentioned earlier",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "nth_from",
        "one option answer suggestion item choice question result thing answers options",
        "the (?:first|second|third|fourth|fifth|last|other|next|previous|former|"
        "latter|final) (?:one|option|answer|suggestion|item|choice|question|"
        "result|thing) (?:was|from (?:your|the|that|above|earlier|before)|on "
        "(?:your|that)|in (?:your|that)|above|you|instead|again|is wrong|is not "
        "right)",
        _LISTS,
        probability=0.75,
        detail="points at an item of a list that is not there",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "as_i_said",
        "said mentioned told discussed explained talked described wrote noted asked showed spoke",
        "(?:as|like) (?:i|we|you) (?:have |had |just |already |was |were "
        ")*(?:said|mentioned|told|discussed|explained|talked|described|wrote|"
        "noted|asked|saying|showed|spoke|stated)",
        _LISTS,
        probability=0.85,
        detail="points at something said earlier",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "earlier_talk",
        "{talk} talk",
        r"(?:{refer}) (?:\w+ ){0,2}?(?:{earlier}|that|your|my|the) (?:\w+ "
        ")?(?:{talk}|talk)(?: (?:from|on|of|about|this|yesterday|earlier|last|"
        r"before|,|\.|i|we|you|with))|(?:in|from|during|to) (?:the|our|my|your|a) "
        r"(?:previous|earlier|last|prior|preceding|past) (?:\w+ )?(?:{talk}|talk|"
        "case)",
        _LISTS,
        probability=0.85,
        detail="points at an earlier talk",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "left_off",
        "left stopped off finished ended paused were",
        "(?:where|from where) (?:we|you|i) (?:left off|stopped|finished|ended|"
        "paused)|(?:we|you|i) left off|left off (?:at|last|in|before)|where we "
        "(?:left|were)",
        _LISTS,
        detail="goes on with an earlier talk",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "session",
        "session chat conversation talk discussion",
        "(?:last|previous|earlier|prior|mornings|yesterdays|our) (?:session|chat|"
        "conversation|talk|discussion|exchange)",
        _LISTS,
        probability=0.85,
        detail="points at an earlier talk",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "you_know",
        "know thing remember",
        "you know (?:the one|what i mean|which one|who i mean|the (?:thing|drill|"
        r"rest))|that thing (?:you|we|i)|remember (?:what|when|that|how|the \w+) "
        "(?:i|we|you)|(?:the|that|those|which) ones? (?:that )?(?:i|you|we) "
        "(?:mean|meant|showed|told|used|had|sent|gave|picked|liked|wanted)",
        _LISTS,
        detail="takes earlier talk for granted",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "mean_by",
        "mean meant",
        r"what (?:do|did) you mean (?:by (?:that|this|it)|\.)|\. (?:\w+ )?what "
        r"(?:does|did) (?:that|it|this) mean \.",
        _LISTS,
        probability=0.8,
        detail="asks about an answer that is not there",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "again_it",
        "again too also well instead rest other others one him her them",
        "(?:do|apply|use|change|try|repeat|book|cancel|send|make|add|set) (?:it|"
        r"that|this|the same|them|this one|that one)(?: \w+){0,2}? (?:again but|"
        "to the (?:rest|other|others)|(?:for|with|to) (?:him|her|them|the other|"
        "both|the rest)|as last time|like (?:last|before)|with the other)|try "
        "the other|not that one|the other one|one after (?:that|this)|the rest "
        "as well|(?:now )?do it again",
        _LISTS,
        probability=0.8,
        detail="points at something that is not there",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "elliptic",
        "and but no what how so okay ok then",
        r"\. (?:and|but|ok|okay|so|then|no)(?: ,| so| then)* (?:what about|how "
        "about|the (?:one|other|next|second|last)|for (?:the|that|him|her)|not "
        "that|what happens (?:next|after|then)|the same|is that still|does that)|"
        "(?:what|how) about (?:that|the other|the second|him|her|those|this|that|"
        "them|the (?:first|third|last|next|rest|red|blue|other)) ?(?:one|ones)? "
        r"\.",
        _LISTS,
        probability=0.75,
        detail="starts in the middle of a talk",
    ),
    rule(
        Family.ASSUMED_CONTEXT,
        "still_that",
        "still that case",
        "is (?:that|it|this) still (?:true|valid|the case|right|correct|"
        "possible)|that (?:case|answer) you",
        _LISTS,
        probability=0.7,
        detail="asks about something that is not there",
    ),
)
