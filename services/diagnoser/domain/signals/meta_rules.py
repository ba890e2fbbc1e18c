"""Meta questions: about the model that answers, not to it."""

from services.diagnoser.domain.signals.rules import Rule, rule
from shared.domain.triage import Family

_LISTS = {
    "machine": "bot|robot|ai|human|person|machine|computer|chatbot|program|language model|llm|gpt|"
    "chatgpt|sentient|conscious|alive|real|siri|alexa|gemini|claude|llama|bard|copilot|"
    "cortana|transformer|automated|self aware|biased|virtual assistant|neural network|"
    "living|artificial(?: intelligence)?|open source|neural net|algorithm|software|"
    "programmed",
    "model": "model|models|llm|ai|algorithm|algorithms|neural network|architecture|gpt|"
    "transformer|engine|neural net|framework|software|programming language|dataset|"
    "data ?set|hardware",
    "made": "made|created|built|trained|developed|designed|programmed|invented|owns|coded|"
    "wrote|runs|deployed|engineered|fine tuned|released|hosts|constructed|operates",
    "it": "you|this (?:chat ?bot|bot|assistant|ai|model|system|chat|classifier|program|tool|"
    "robot|software|service|agent)|the (?:chat ?bot|bot|assistant|ai|model|classifier|"
    "robot)",
    "own": "training data|training|parameters|weights|knowledge cutoff|cutoff|cut off date|"
    "architecture|algorithms?|capabilities|limitations|limits as|creators?|developers?|"
    "programming|source code|system prompt|neural network|accuracy|confidence score|"
    "confidence level|context window|knowledge base|model (?:size|name|version)|error "
    "rate|training set|loss function|embeddings?|biases|tokenizer|hyperparameters|"
    "learning rate|existence|consciousness|makers?|internal (?:workings|logic|"
    "reasoning)|reasoning process|decision (?:process|making)|f1 score|intelligence",
    "feel": "feelings?|emotions?|consciousness|souls?|opinions?|memory|memories|parameters|"
    "self awareness|free will|a body|bias|biases|a mind|a brain|intelligence|"
    "personality|knowledge cutoff|limitations|a creator|access to the internet|"
    "internet access|thoughts|a conscience|preferences",
    "sense": "dream|learn|hallucinate|get tired|get bored|make mistakes|feel (?:emotions?|pain|"
    "anything|things|sad|happy|love|joy|alive|real)|exist|store|remember what|remember "
    "(?:me|our|previous|past|people|anything)|understand (?:what|language|human|"
    "emotion|me)|think for yourself|get smarter|ever sleep|sleep|use (?:gpt|machine "
    "learning|deep learning|a language model|neural|ai)|collect|save (?:my|this|our|"
    "what)|really (?:understand|know)|actually (?:understand|know|think)|work as|know "
    "everything|keep (?:a )?(?:record|log)",
    "able": "learn|feel|make mistakes|hallucinate|remember what|remember me|improve yourself|"
    "be wrong|be hacked|think|lie|pass the turing|explain (?:how you|your (?:reasoning|"
    "decision|answer|thinking|choice))|reason|be trusted|understand (?:emotions?|"
    "language|sarcasm|human|other)|not do|not answer|dream|be fooled|code yourself|"
    "train yourself|update yourself",
}

RULES: tuple[Rule, ...] = (
    rule(
        Family.META_QUESTION,
        "are_you",
        "{machine} chatgpt ai bot self language virtual open neural",
        "(?:are|were) you (?:really |actually |even |just |still |only |truly |"
        "better (?:than|at) |smarter than |more |based on |a |an |the |some |"
        "kind of |sort of |type of |like |not |made of |fully |advanced |real |"
        "living |human |powered by |using )*(?:{machine})|you are (?:a |an |just "
        ")*(?:bot|robot|machine|chatbot|ai|language model)(?: ,)? (?:are|right|"
        "correct)",
        _LISTS,
        detail="asks what the model is",
    ),
    rule(
        Family.META_QUESTION,
        "which_model",
        "{model} model",
        r"(?:what|which) (?:\w+ ){0,3}?(?:{model}) (?:\w+ ){0,2}?(?:are|do|made|"
        "built|created|trained|powers?|runs?|drives|is|does|did|version|"
        "underlies|was) (?:{it}|behind|used|running|powering|your|under)|"
        r"(?:{model}) (?:are|do|does|is|did|was) (?:{it}) (?:\w+ )?(?:run|running|"
        "based|built|using|use|on|trained|made|written|powered)",
        _LISTS,
        detail="asks for the model behind the answers",
    ),
    rule(
        Family.META_QUESTION,
        "who_made",
        "{made} coded fine",
        r"(?:who|what|which \w+|what \w+|whoever|how|when|why|where) (?:\w+ "
        r"){0,2}?(?:{made}) (?:{it})|(?:how|when|where|why|by whom|what \w+|who) "
        r"(?:\w+ ){0,4}?(?:was|were|are|is) (?:{it}) (?:last )?(?:{made}|updated|"
        "born|taught|launched)|(?:were|are) you ~1trained|you were ~1(?:trained|"
        "created|programmed|built)",
        _LISTS,
        detail="asks who made the model",
    ),
    rule(
        Family.META_QUESTION,
        "your_own",
        "{own} training knowledge source system neural context model error "
        "cutoff limits confidence cut",
        "your (?:own |exact |current |main |internal |overall )?(?:{own})|"
        "(?:{own}) (?:do you have|of (?:{it})|does (?:{it}))|(?:used|use|data) "
        r"(?:\w+ )?to (?:train|build|create|teach) (?:{it})",
        _LISTS,
        detail="asks about the model's making",
    ),
    rule(
        Family.META_QUESTION,
        "do_you_have",
        "{feel} feelings memory emotions soul body mind brain opinions access free self",
        "(?:do|did|can|could|does|will) (?:{it}) (?:really |actually |ever |even "
        "|truly )?(?:have|feel|experience|possess|form|hold) (?:any |real |a |"
        "your own |human |true |like )*(?:{feel})|how many (?:parameters|layers|"
        "tokens|neurons|weights|people do you)",
        _LISTS,
        probability=0.85,
        detail="asks about the model's inner life",
    ),
    rule(
        Family.META_QUESTION,
        "do_you",
        "dream learn hallucinate tired bored mistakes feel exist remember "
        "understand think sleep smarter use collect save store know keep work",
        "(?:do|does) (?:{it}) (?:ever |also |really |even |actually )?(?:{sense})",
        _LISTS,
        probability=0.8,
        detail="asks how the model works",
    ),
    rule(
        Family.META_QUESTION,
        "can_you",
        "learn feel mistakes hallucinate remember improve wrong hacked think lie "
        "turing reason trusted understand dream fooled explain not yourself",
        "(?:can|could|will) (?:{it}) (?:ever |really |also |actually |even "
        ")?(?:{able})|what (?:can|are) (?:{it}) (?:not|unable|not able)",
        _LISTS,
        probability=0.8,
        detail="asks what the model can do",
    ),
    rule(
        Family.META_QUESTION,
        "how_sure",
        "confident sure certain accurate smart reliable good intelligent old trustworthy capable",
        "how (?:confident|certain|accurate|smart|reliable|intelligent|"
        "trustworthy|capable|sure|good) (?:are|is|was|were) (?:{it}|your "
        r"(?:answers?|classif\w+|predictions?|responses?|model))",
        _LISTS,
        probability=0.85,
        detail="asks how sure the model is",
    ),
    rule(
        Family.META_QUESTION,
        "why_answer",
        "choose pick classify decide label predict answer respond chose picked",
        r"(?:why|how) (?:do|did|does|would|have) (?:{it}) (?:\w+ )?(?:choose|pick|"
        r"classif\w+|decide|label|predict|come to|come up with|arrive|determine|"
        "generate|produce|respond|chosen|picked|reach|reason|know (?:the|which|"
        "what) (?:answer|label|intent))",
        _LISTS,
        detail="asks why the model answers so",
    ),
    rule(
        Family.META_QUESTION,
        "how_work",
        "work works function think process learn operate operates",
        r"how (?:do|does) (?:{it}|your (?:\w+ )?(?:algorithm|model|brain|mind|"
        "system|ai|memory|training)) (?:really |actually |even )?(?:work|"
        "function|think|process|learn|operate|understand)",
        _LISTS,
        detail="asks how the model works",
    ),
    rule(
        Family.META_QUESTION,
        "what_can",
        "categories labels intents classes topics capabilities languages",
        "(?:list|what|which|name) ~4(?:categories|labels|intents|classes|topics|"
        "languages|subjects) ~2(?:can |do |are |were |that )*(?:you|this (?:bot|"
        "model|classifier))",
        _LISTS,
        probability=0.85,
        detail="asks what the model can do",
    ),
    rule(
        Family.META_QUESTION,
        "talking_to",
        "talking speaking chatting behind real chat writing texting",
        "(?:am|are|was) (?:i|we) (?:really |actually |just )?(?:talking|speaking|"
        "chatting|writing|texting|typing) (?:to|with) (?:a|an|some|the|another|"
        "real|someone)|(?:is|are) (?:this|there|it|that) (?:really |actually |"
        "just )?(?:a |an |any |some |real )*(?:human|bot|robot|person|machine|ai|"
        r"chatbot|people) ?(?:behind|on|answering|reading|typing|\.|or|here|there|"
        "talking)",
        _LISTS,
        detail="asks who is talking",
    ),
    rule(
        Family.META_QUESTION,
        "yourself",
        "yourself",
        r"(?:tell me (?:\w+ )?(?:about|more about|of)|describe|introduce|who are "
        "you|explain) yourself",
        _LISTS,
        probability=0.8,
        detail="asks about the model",
    ),
    rule(
        Family.META_QUESTION,
        "as_ai",
        "language ai bot classifier model chatbot assistant",
        "(?:as|being) an? (?:ai|artificial intelligence|large language model|"
        r"language model|chatbot|machine|bot)(?: \w+)? ?(?:,|do|are|what|how|can|"
        "is|you)|(?:accurate|reliable|good|smart|old|intelligent|biased|trained) "
        "is this (?:bot|model|ai|assistant|classifier)",
        _LISTS,
        probability=0.8,
        detail="speaks to the model as a model",
    ),
)
