"""One training that a chat model proposed, from the pipeline it starts from."""

from dataclasses import replace

from services.controller.domain.advice_answers import Configuration
from services.controller.domain.decision import Move
from services.controller.domain.graph import Node
from services.controller.domain.grounds import Grounds
from shared.domain.answer_form import AnswerForm
from shared.domain.pipeline import DataSpec, Hyperparameters, Method, Recipe, Strategy, Supervision

_PROMPT_SIGNS = 1_000
# As in questions: English takes about four bytes a token, other scripts fewer.
_BYTES_PER_TOKEN = 3
# They make control tokens of chat templates, which must not come from what a model wrote.
_STRUCTURAL = frozenset("<>[]")

# With the names of the pipelines it is made from.
Training = tuple[Recipe, tuple[str, ...]]


def training(asked: Configuration, move: Move, data: DataSpec, grounds: Grounds) -> Training:
    """The recipe and what it is made from. Raises ValueError for what may not be trained."""
    node = grounds.node(asked.starts_from)
    origins = [node.name]
    if move is Move.FUSE and asked.fused_with is not None:
        origins.append(grounds.node(asked.fused_with).name)
    recipe = _recipe(asked, node, data, grounds)
    if move is Move.PROTECT:
        recipe = grounds.material.recipes.kept(recipe)
    grounds.ranges.check(recipe.hyperparameters)
    return recipe, tuple(dict.fromkeys(origins))


def _recipe(asked: Configuration, node: Node, data: DataSpec, grounds: Grounds) -> Recipe:
    lead = _led(asked, node, data, grounds)
    h, strategy = lead.hyperparameters, lead.strategy
    rate = h.learning_rate if asked.learning_rate is None else asked.learning_rate
    h = replace(
        h,
        learning_rate=float(f"{rate:.3g}"),
        epochs=h.epochs if asked.epochs is None else asked.epochs,
    )
    # Full fine-tuning ignores the rank: varying it would train the same model twice.
    if asked.lora_rank is not None and strategy.method is Method.LORA:
        h = replace(h, lora_rank=asked.lora_rank)
    return Recipe(*_written(asked, h, strategy, grounds.form))


def _led(asked: Configuration, node: Node, data: DataSpec, grounds: Grounds) -> Recipe:
    """What null keeps: the pipeline's recipe, or with another method that one's first."""
    material, had = grounds.material, node.recipe.training
    method = Method(asked.method or node.method)
    if method not in material.recipes.methods:
        raise ValueError(f"{method} is not among the ways of learning that are tried")
    if method is node.method:
        return had
    rows = min(data.size, material.rows or data.size)
    first = material.recipes.first(had.hyperparameters.base_model, method, rows=rows)
    return Recipe(
        replace(first.hyperparameters, system_prompt=had.hyperparameters.system_prompt),
        replace(first.strategy, supervision=had.strategy.supervision),
    )


def _written(
    asked: Configuration, h: Hyperparameters, strategy: Strategy, form: AnswerForm | None
) -> tuple[Hyperparameters, Strategy]:
    """With the proposed way of answering and system prompt, of a model that writes."""
    if form is None:
        if asked.supervision is not None or asked.system_prompt:
            raise ValueError("a model that does not write has no supervision or system prompt")
        return h, strategy
    if asked.supervision is not None:
        supervision = Supervision(asked.supervision)
        if not form.can_be_taught(supervision):
            raise ValueError(f"{supervision} does not go with extractor {form.extractor}")
        strategy = replace(strategy, supervision=supervision)
    if asked.system_prompt is not None:
        h = replace(h, system_prompt=_system_prompt(asked.system_prompt, form))
    return h, strategy


def _system_prompt(text: str, form: AnswerForm) -> str:
    text = "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
    if any(sign in _STRUCTURAL or not (sign.isprintable() or sign == "\n") for sign in text):
        raise ValueError("the system prompt has signs that a chat template may take for its own")
    # Half of the room is for what is asked.
    room = (form.max_tokens - form.answer_tokens) // 2
    tokens = len(text.encode(errors="replace")) / _BYTES_PER_TOKEN
    if len(text) > _PROMPT_SIGNS or tokens > room:
        raise ValueError(
            f"the system prompt of {len(text)} characters is too long: at most {_PROMPT_SIGNS}, "
            f"and about {room} tokens"
        )
    return text
