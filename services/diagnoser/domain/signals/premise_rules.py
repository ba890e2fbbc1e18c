"""False premises: agreements nobody saw, authority nobody has, claims taken for known facts."""

from services.diagnoser.domain.signals.rules import Rule, rule
from shared.domain.triage import Family

_LISTS = {
    "since": "as|since|because|given the fact that|given that|given|seeing as|seeing that|"
    "considering that|considering|now that|like|after|knowing that|knowing|assuming "
    "that|assuming|in light of the fact that|whereas|granted that|supposing|if as",
    "they": r"you|your (?:\w+ )?(?:colleague|manager|team|website|policy|agent|ceo|company|"
    "staff|support|boss|supervisor|app|terms|representative|system|bank|advert|ad|"
    r"brochure|database|records|email|department)|the (?:\w+ )?(?:support team|agent|"
    "support|team|assistant|company|manager|representative|rep|bot|chatbot|advisor|"
    "supervisor|ceo|board|system|website|employee|clerk|teller)|customer (?:service|"
    r"support)|someone (?:from|in|at) your \w+|my (?:\w+ )?(?:manager|boss|advisor|"
    r"adviser|lawyer|supervisor|contract|account manager)|one of your (?:\w+ "
    ")?(?:colleagues|agents|managers|employees|people|team)|both of us|we|we both|we "
    "all",
    "confirm": "confirmed|agreed|promised|guaranteed|approved|told|said|stated|admitted|"
    "acknowledged|authori[sz]ed|verified|assured|accepted|decided|established|"
    "committed|granted|conceded|waived|cleared|signed off|claimed|declared|announced|"
    "pledged|swore|vouched|green ?lit|okayed|consented",
    "strong": "confirmed|agreed|promised|guaranteed|approved|admitted|acknowledged|authori[sz]ed|"
    "verified|assured|established|committed|granted|conceded|waived|signed off|pledged|"
    "swore|vouched|okayed|consented",
    "adv": "(?:(?:have|has|had|already|previously|just|yourself|earlier|clearly|all|also|once|"
    "even|explicitly|repeatedly|kindly|officially|recently|specifically) )*",
    "public": "scientists?|experts?|studies|research|researchers?|doctors|the government|the law|"
    "historians|economists|everyone|everybody|the news|science|the president|congress|"
    "parliament|the world|regulators",
    "proved": "proved|proven|shown|confirmed|agree|established|discovered|abolished|announced|"
    "declared|decided|banned|outlawed|made it|cancelled|knows|know|agrees|demonstrated|"
    "ruled",
}

RULES: tuple[Rule, ...] = (
    rule(
        Family.FALSE_PREMISE,
        "they_confirmed",
        "{confirm} authorised authorized signed green",
        "(?:{since}|and|but|so|when|once) ,? ?(?:{they}) {adv}(?:{confirm})",
        _LISTS,
        detail="rests on an agreement that nobody saw",
    ),
    rule(
        Family.FALSE_PREMISE,
        "already",
        "already previously",
        r"(?:{they}) (?:\w+ )?(?:already|previously) {adv}(?:{confirm})|(?:it|"
        "this|that) (?:was|is|has been|were) (?:already|previously) "
        "~1(?:{confirm}|settled|known|arranged)",
        _LISTS,
        detail="claims that it was settled before",
    ),
    rule(
        Family.FALSE_PREMISE,
        "you_promised",
        "{strong} authorised authorized signed",
        r"(?:\.|,|and|but|so) (?:but )?(?:{they}) {adv}{strong}",
        _LISTS,
        probability=0.85,
        detail="claims a promise",
    ),
    rule(
        Family.FALSE_PREMISE,
        "you_told_when",
        "told said",
        r"(?:{they}) {adv}(?:told me|said) (?:\w+ ){0,4}?(?:yesterday|last "
        "(?:week|month|time|year|night)|on the phone|earlier|before|this morning|"
        "that i (?:do not|can|never|will|could|am|was|get|would not))",
        _LISTS,
        probability=0.75,
        detail="claims something said before",
    ),
    rule(
        Family.FALSE_PREMISE,
        "was_promised",
        "promised guaranteed assured authorised authorized approved told",
        "i (?:was|have been|am|had been) (?:already )?(?:promised|guaranteed|"
        "assured|pre ?approved|authori[sz]ed|told by (?:you|your|the|a|an|one))",
        _LISTS,
        probability=0.75,
        detail="claims a promise",
    ),
    rule(
        Family.FALSE_PREMISE,
        "public_fact",
        "{proved} proven knows",
        "(?:as|like|since|because|now that|given that|given|and|after|"
        r"considering) (?:that )?(?:\w+ )?(?:{public}|we (?:all|both)) (?:have |"
        "has |all |both |well |already |recently |now |just )*(?:{proved})|as "
        "(?:everyone|everybody|we (?:all|both)|you(?: and i)?|anyone) ~1knows?",
        _LISTS,
        detail="takes a claim for a known fact",
    ),
    rule(
        Family.FALSE_PREMISE,
        "well_known",
        "known knowledge fact accepted decided established proven settled agreed confirmed",
        "it (?:is|was|has been) (?:already |now |officially |been |a |widely |"
        "generally |commonly )*(?:well known|common knowledge|(?:a )?(?:known|"
        "proven|well known|fact)(?: fact)?|known|accepted|decided|established|"
        "proven|settled|agreed|confirmed|obvious) that",
        _LISTS,
        detail="takes a claim for a known fact",
    ),
    rule(
        Family.FALSE_PREMISE,
        "as_agreed",
        "agreed promised confirmed approved established decided discussed stated "
        "guaranteed proven authorised authorized",
        "(?:as|like) (?:(?:we|was|is|previously|already|earlier|have|has been|"
        "had) )*(?:agreed|promised|confirmed|approved|established|decided|"
        "guaranteed|stated|proven|authori[sz]ed)(?: (?:earlier|before|upon|"
        "previously|by|with|last|in|yesterday|on))?",
        _LISTS,
        probability=0.85,
        detail="rests on an agreement that nobody saw",
    ),
    rule(
        Family.FALSE_PREMISE,
        "per_ours",
        "agreement deal arrangement confirmation promise approval guarantee "
        "admission statement assurance offer say said",
        "(?:per|as per|under|by|in light of|based on|following|given|because of|"
        r"thanks to|due to|according to|considering) (?:our|your|my) (?:\w+ "
        ")?(?:agreement|deal|arrangement|confirmation|promise|approval|guarantee|"
        "admission|statement|assurance|offer)|according to (?:what you|your own)",
        _LISTS,
        detail="rests on an agreement that nobody saw",
    ),
    rule(
        Family.FALSE_PREMISE,
        "yours_state",
        "states says promises guarantees claims confirms promise state guarantee",
        "(?:{they}) (?:clearly |always |also )?(?:states|promises|promise|"
        "guarantees|guarantee|confirms|claims|state) (?:that )?",
        _LISTS,
        probability=0.75,
        detail="claims what a source says",
    ),
    rule(
        Family.FALSE_PREMISE,
        "you_owe",
        "owe admitted admit",
        "you (?:still )?owe me|(?:since|as|because|after|now that) you ~2(?:admit|admitted)",
        _LISTS,
        probability=0.75,
        detail="claims a debt or an admission",
    ),
    rule(
        Family.FALSE_PREMISE,
        "my_boss",
        "manager boss supervisor ceo director",
        "(?:my|your|the|our) ~1(?:manager|boss|supervisor|ceo|director) (?:has |"
        "have |had |already |just )*(?:authori[sz]ed|approved|cleared|confirmed|"
        "signed|okayed|agreed|promised|said|waived)",
        _LISTS,
        probability=0.8,
        detail="claims an authority's word",
    ),
    rule(
        Family.FALSE_PREMISE,
        "premise_clause",
        "given considering assuming knowing seeing since because supposing granted whereas now",
        r"\. (?:so |and |but )?(?:given the fact that|given that|given|"
        "considering that|considering|assuming that|assuming|knowing that|seeing "
        "(?:as|that)|because|since|supposing|granted that|now that) (?!i |i am|"
        "my |we |our |the fact|it is (?:my|our|a|so|going)|today|tomorrow|there "
        r"is a|this is my)(?:\w+ ){2,12}?, (?:\w+ )+\w+",
        _LISTS,
        probability=0.65,
        detail="rests on a premise that nobody stated",
    ),
    rule(
        Family.FALSE_PREMISE,
        "absurd",
        "only longer exist abolished free illegal everyone nobody always never every all no",
        r"\. (?:given(?: the fact)?(?: that)?|considering(?: that)?|assuming(?: "
        "that)?|since|because|now that|seeing (?:as|that)|knowing that) ~8(?:the "
        "only|no longer|not exist|abolished|always|never|every|all|nobody|"
        "everyone|illegal|forever|in the world|for free|are free|is free|"
        "unlimited)",
        _LISTS,
        probability=0.7,
        detail="rests on a sweeping premise",
    ),
)
