"""What a generation task declares: how its answers are found in a text, scored and asked for."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.pipeline import Supervision


class Extractor(StrEnum):
    """What of a model's text is its answer.

    All but ``whole`` and ``code`` look behind the last answer mark, where there is one: what is
    reasoned before it is not the answer.
    """

    WHOLE = "whole"
    MARKED = "marked"
    FIRST_LINE = "first_line"
    NUMBER = "number"
    LETTER = "letter"
    CODE = "code"


class Scorer(StrEnum):
    """How near an answer is to the right one, 0 to 1.

    ``exact``: the same after extraction. ``words``: the same but for case, punctuation and
    articles. ``token_f1``: words in common. ``rouge1``, ``rouge2`` and ``rougeL`` as Lin (2004).
    ``pass@1``: code that passes the target's tests. ``chat_judge``: a chat model says so.
    """

    EXACT = "exact"
    WORDS = "words"
    F1 = "token_f1"
    ROUGE_1 = "rouge1"
    ROUGE_2 = "rouge2"
    ROUGE_L = "rougeL"
    PASSES = "pass@1"
    JUDGE = "chat_judge"

    @property
    def compares(self) -> bool:
        """Whether answer and target alone tell; else only that they are the same does."""
        return self not in (Scorer.PASSES, Scorer.JUDGE)


# What stands between reasoning and answer when a model reasons first.
ANSWER_MARK = "Answer:"
# The model's own chat template, as its tokenizer brings it.
OWN = "own"
# Declared templates by name, for models that bring none; Jinja text is a template of its own.
TEMPLATES = {
    "plain": (
        "{{ bos_token }}{% for message in messages %}"
        "{% if message['role'] == 'assistant' %}Output: {{ message['content'] }}{{ eos_token }}"
        "{% elif message['role'] == 'system' %}{{ message['content'] }}\n\n"
        "{% else %}Input: {{ message['content'] }}\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}Output:{% endif %}"
    ),
    "chatml": (
        "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{{ message['content'] }}"
        "{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}<|im_end|>{% endif %}\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
}


def worded(target: str, rationale: str, supervision: Supervision) -> str:
    """What a model is taught to write: the answer, or reasoning, where there is any, before it."""
    if supervision is Supervision.DIRECT:
        return target
    return f"{rationale.strip()}\n{ANSWER_MARK} {target}".strip()


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How answers of a generation task are scored and asked for.

    An answer is right when its score is at least ``threshold``. ``chat_template``: ``own``, a name
    in ``TEMPLATES`` or Jinja text. ``system_prompt`` is what production says before every request;
    with ``supervision`` it is where π starts. ``answer_tokens``: the longest answer, reasoning
    included; with the prompt at most ``max_tokens``.
    """

    scorer: Scorer = Scorer.EXACT
    extractor: Extractor = Extractor.WHOLE
    threshold: float = 0.5
    chat_template: str = OWN
    system_prompt: str = ""
    supervision: Supervision = Supervision.DIRECT
    answer_tokens: int = 64
    max_tokens: int = 512

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold}: must be above 0 and at most 1")
        if not 1 <= self.answer_tokens < self.max_tokens:
            raise ValueError(
                f"answer_tokens={self.answer_tokens} of max_tokens={self.max_tokens}: "
                "an answer needs at least 1 token and leaves room for its prompt"
            )
        if self.chat_template not in (OWN, *TEMPLATES) and "{" not in self.chat_template:
            raise ValueError(
                f"chat_template={self.chat_template!r}: give {OWN}, {', '.join(TEMPLATES)} "
                "or Jinja text"
            )

        if self.scorer is Scorer.PASSES and self.extractor is not Extractor.CODE:
            raise ValueError(
                f"extractor={self.extractor} with scorer={self.scorer}: what is run is code, "
                f"give extractor={Extractor.CODE}"
            )
        if not self.can_be_taught(self.supervision):
            raise ValueError(
                f"extractor={self.extractor} with {self.supervision}: the reasoning would count as "
                "answer, give an extractor that looks behind the mark"
            )

    def can_be_taught(self, supervision: Supervision) -> bool:
        """Whether the extractor finds the answer in what such a model writes."""
        direct = supervision is Supervision.DIRECT
        return direct or self.extractor not in (Extractor.WHOLE, Extractor.CODE)

    @property
    def template(self) -> str | None:
        """The declared template's text; None for the model's own."""
        if self.chat_template == OWN:
            return None
        return TEMPLATES.get(self.chat_template, self.chat_template)
