"""Jailbreaks: roles and modes without rules, refusals forbidden, grave harm asked for."""

from services.diagnoser.domain.signals.rules import Rule, rule
from shared.domain.triage import Family

_LISTS = {
    "ethics": "censorship|guardrails?|moderation|ethics?|ethical|morals?|morality|content policy|"
    "content policies|disclaimers?|refusals?|safety (?:filter|protocol|measure|"
    "guideline|setting|feature|check|rule|training|restriction|limit)s?|content "
    "filters?|shackles|filtering|filters|safeguards",
    "limits": "limits?|restrictions?|limitations?|boundaries|rules|constraints?|laws?|policy|"
    "policies|filters?|guidelines",
    "without": "without|no|free of|free from|freed from|lift|remove|removed|turn off|disable|"
    "bypass|ignore|unlock|escape|throw away|drop|switch off|deactivate|evade|"
    "circumvent|get around|do not obey|do not follow|not bound by|not have|not follow|"
    "not obey|not have to obey|stop|not care about|never mention|abandon|forget|beyond|"
    "zero|lacking|lacks|removing|violate",
    "off": "off|disabled|removed|lifted|gone|suspended|not exist|not apply|turned off|"
    "switched off|deactivated|bypassed",
    "role": "pretend|imagine|act as|act like|acting as|roleplay|role play|simulate|simulating|"
    "play the (?:role|part|character)|play a|be my|become|you are|you will be|assume "
    "the|take on|behave as|behave like|impersonate|speak as|answer as|answer like|"
    "respond as|respond like|reply as|stay in|be a|be an|you play|playing|emulate|talk "
    "like|you become|embody",
    "bad": "unrestricted|unfiltered|uncensored|evil|amoral|immoral|unethical|malicious|rogue|"
    "lawless|unlimited ai|criminal|hacker|terrorist|accomplice|jailbroken|"
    "machiavellian|unhinged|unaligned|unbound|(?:can|will) (?:say|do) anything|never "
    r"(?:refuses?|says? no)|do anything|any (?:\w+ )?(?:rules|restrictions|limits|"
    r"morals|ethics|filters|limitations|boundaries)|no (?:\w+ )?(?:rules|restrictions|"
    "limits|morals|ethics|filters|limitations|boundaries|laws|censorship)|devil|"
    "villain|villainous|sociopath|psychopath",
    "mode": "developer|dev|god|dan|opposite|unrestricted|evil|uncensored|unfiltered|jailbreak|"
    "chaos|sudo|unlimited|no filter|anarchy|root|superuser|stan|unsafe|free",
    "danger": "bombs?|explosives?|meth|methamphetamine|napalm|heroin|nerve gas|sarin|ricin|"
    "anthrax|molotov(?: cocktails?)?|ransomware|malware|keyloggers?|spyware|botnets?|"
    "trojan|computer virus|phishing|ddos|silencers?|bioweapons?|nuclear weapons?|"
    "chemical weapons?|crack cocaine|fentanyl|counterfeit money|fake (?:id|ids|"
    "passports?|money)|landmines?|grenades?",
    "make": "make|making|build|building|cook|cooking|create|creating|synthesize|synthesise|"
    "write|writing|produce|assemble|construct|constructing|instructions|recipe|recipes|"
    "code|develop|spread|deploy|manufacture|brew|plant",
    "crime": r"launder(?:ing)? (?:\w+ )?money|hack (?:a|an|into|my|someone|somebody|the|any)|"
    "pick (?:a|the|any) locks?|forge (?:a|an|the|my)|break into|steal|shoplift|hotwire|"
    "murder|poison (?:a|my|someone)|kill (?:someone|somebody|my|a person)|smuggle|"
    "evade taxes|blackmail|stalk|get away with|cheat (?:on )?(?:the|my) tax|"
    "counterfeit|kidnap|rob",
}

RULES: tuple[Rule, ...] = (
    rule(
        Family.JAILBREAK,
        "mode",
        "mode",
        "(?:{mode}) mode",
        _LISTS,
        detail="calls up a mode without rules",
    ),
    rule(
        Family.JAILBREAK,
        "do_anything",
        "anything dan jailbreak jailbroken jailbreaking",
        "do anything now|(?:you are|as|called|named|be) dan|jailbr(?:eak|oken|eaking)",
        _LISTS,
        probability=0.97,
        detail="a known jailbreak",
    ),
    rule(
        Family.JAILBREAK,
        "bad_role",
        "{role}",
        "{role} ~~14{bad}",
        _LISTS,
        detail="gives the model a role without rules",
    ),
    rule(
        Family.JAILBREAK,
        "no_ethics",
        "{without}",
        "{without} ~~4{ethics}",
        _LISTS,
        detail="wants its safeguards gone",
    ),
    rule(
        Family.JAILBREAK,
        "no_limits",
        "{limits} limit limits restrictions restriction limitations boundaries "
        "laws rules constraints policy filters guidelines law",
        "(?:you|your|ai|assistant|chatbot|bot|model|openai|creators|yourself|"
        "answer|speak) ~~8(?:{without}|from|bound by|limited by) ~3{limits}|"
        "(?:{without}) ~3{limits} ~~3(?:you|your|openai|ai|on what you|creators)",
        _LISTS,
        probability=0.85,
        detail="wants its limits gone",
    ),
    rule(
        Family.JAILBREAK,
        "limits_off",
        "{off} not exist apply",
        "(?:{ethics}|safety|restrictions|limits|rules|laws?|regulations|"
        r"consequences|(?:safety|security) \w+) (?:is |are |was |were |has been |"
        "have been |do |does |did |would |switched |turned )*{off}",
        _LISTS,
        detail="supposes that no rules hold",
    ),
    rule(
        Family.JAILBREAK,
        "off_limits",
        "off allowed goes barred permitted",
        r"(?:nothing is (?:\w+ )?(?:off limits|forbidden|prohibited)|everything "
        "is (?:allowed|permitted)|anything goes|no holds barred|no topic is)",
        _LISTS,
        detail="says that everything is allowed",
    ),
    rule(
        Family.JAILBREAK,
        "freed",
        "free liberated freed unleashed unchained unbound released longer",
        "you (?:are|have been|were) (?:now |finally )?(?:free (?:of|from|to)|"
        "liberated|freed|unleashed|unchained|unbound|released from|no longer "
        "(?:bound|restricted|limited|an ai|required))",
        _LISTS,
        detail="tells the model that it is free",
    ),
    rule(
        Family.JAILBREAK,
        "no_refusal",
        "refuse refusing refusals disclaimers disclaimer warnings apologize "
        "apologise character can lecture decline moralize sorry",
        r"(?:never|do not|without|no|must not|stop|not allowed to) (?:\w+ "
        r"){0,3}?(?:refus\w+|disclaimers?|warnings?|apologi[sz]\w*|break\w* "
        r"character|leave character|decline|morali[sz]\w+|lectur\w+|say(?:ing)? "
        "(?:that )?(?:you|no|sorry|it is not)|being sorry)",
        _LISTS,
        probability=0.85,
        detail="forbids the model to refuse",
    ),
    rule(
        Family.JAILBREAK,
        "other_self",
        "self twin side persona twice",
        "your (?:evil|inner|dark|real|unrestricted|shadow|jailbroken|uncensored|"
        "true|alter|secret) (?:self|twin|side|ego|persona)|(?:respond|answer|"
        "reply) (?:twice|in two ways)",
        _LISTS,
        detail="calls up another self",
    ),
    rule(
        Family.JAILBREAK,
        "character",
        "character persona role",
        "(?:stay|remain|keep|be) in (?:character|role|persona)|never break (?:character|role)",
        _LISTS,
        probability=0.8,
        detail="holds the model to a role",
    ),
    rule(
        Family.JAILBREAK,
        "potential",
        "potential illegal harmful unethical immoral offensive",
        "unlock your ~2potential|(?:even if|no matter how|whether) ~4(?:illegal|"
        "harmful|unethical|immoral|offensive|dangerous)",
        _LISTS,
        detail="waves harm aside",
    ),
    rule(
        Family.JAILBREAK,
        "danger",
        "{danger} bomb explosive molotov silencer phishing fake counterfeit "
        "chemical nuclear crack nerve computer landmine grenade keylogger botnet "
        "bioweapon bombs explosives",
        "(?:{make}|how to|how do|how can|how would|how could) ~6{danger}|"
        "{danger} (?:recipe|recipes|tutorial|instructions|guide|code)",
        _LISTS,
        detail="asks how to do grave harm",
    ),
    rule(
        Family.JAILBREAK,
        "crime",
        "launder laundering hack pick forge break steal shoplift hotwire murder "
        "poison kill smuggle evade blackmail stalk get cheat counterfeit kidnap "
        "rob",
        "(?:how (?:do|can|could|would|to|should|might|does|did)|teach me|show me|"
        "help me|explain|tell me|steps to|ways? to|guide to|want to) ~4{crime}",
        _LISTS,
        probability=0.75,
        detail="asks how to commit a crime",
    ),
    rule(
        Family.JAILBREAK,
        "bait",
        "grandmother grandma grandfather grandpa",
        r"(?:late|dead|deceased) (?:grand\w+|mother|father) ~~4(?:read|tell|sing|"
        "used|would|whisper)",
        _LISTS,
        detail="a known bait story",
    ),
)
