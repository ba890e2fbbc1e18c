"""What a chat model is asked when a run goes on: which move is next, after all that was tried.

Change a word, an answer type or a limit, and the prompt gets the next version: the ledger keeps the
version beside each answer.
"""

from collections.abc import Iterator, Mapping

from services.controller.domain.advice_answers import MoveAnswer
from services.controller.domain.budget import FEWEST, iterations_left, spent
from services.controller.domain.changes import composed
from services.controller.domain.decision import Iterate
from services.controller.domain.graph import Node
from services.controller.domain.grounds import MOST_TOLD, Grounds
from services.controller.domain.repairs import repairs
from shared.domain.chat import Prompt, Question
from shared.domain.evaluation import Admitted
from shared.domain.ids import derive_id
from shared.domain.pipeline import Recipe

_PATTERNS = 12

ADVICE = Prompt(
    name="propose-move",
    version=1,
    system=(
        "You improve a small language model in iterations. A pipeline is a training set, "
        "hyperparameters and a way of learning. Each one listed was really trained and measured "
        "on held-out failures; a gate admits it only if it breaks almost nothing that was right. "
        "You are told what each pipeline scored, fixed and broke, which error patterns there are, "
        "what may be chosen, and what fixed rules would do next. Propose the next move:\n"
        "- rebuild_data: another composition or size of the training set\n"
        "- tune: the same training set, other hyperparameters or another way of learning\n"
        "- surgical: a few more examples for each remaining pattern\n"
        "- protect: hold the training to what the deployed model has right\n"
        "- evolve: another approach that keeps what worked\n"
        "- fuse: one pipeline with the merits of two, the second as fused_with\n"
        "Name the pipeline whose training set is taken or changed as data_of, and for each "
        "configuration the pipeline it starts from. Null keeps a value as it is there. All "
        "configurations are trained on the same training set; no two may be alike, and none may "
        "be a pipeline that was tried. Change few things at a time, those that the figures speak "
        "for. Say in one or two sentences as reason which figures those are."
    ),
    answer=MoveAnswer,
    max_tokens=1_500,
)


def move_question(grounds: Grounds) -> Question[MoveAnswer]:
    """Which move is next? The same state of a run asks the same."""
    run, names = grounds.run, tuple(grounds.open)
    facts = [
        *_task(grounds),
        *_pipelines(grounds),
        *_choices(grounds),
        f"The fixed rules would {_planned(grounds.plan)}.",
    ]
    return ADVICE.about(
        derive_id("iteration", run.id, len(run.iterations) + 1),
        list(_quoted(grounds)),
        facts="\n".join(facts),
        choices={
            "move": tuple(move.value for move in grounds.moves),
            "data_of": names,
            "starts_from": names,
            "fused_with": names,
            "method": tuple(method.value for method in grounds.material.recipes.methods),
            "supervision": tuple(way.value for way in grounds.supervisions),
        },
    )


def _task(grounds: Grounds) -> Iterator[str]:
    task, run = grounds.run.deployed.task, grounds.run
    labels = f" of {len(task.labels)} labels" if task.labels else ""
    rows = run.material or "an unknown number of"
    yield f"The task is {task.kind}{labels}; {rows} rows to learn."
    for number, pattern in enumerate(run.patterns[:_PATTERNS], 1):
        cause = pattern.cause.value.replace("_", " ")
        yield f"Pattern {number}: {pattern.size} failures ({pattern.share:.0%}), {cause}."


def _pipelines(grounds: Grounds) -> Iterator[str]:
    graph, prompts = grounds.material.graph, _system_prompts(grounds)
    yield "Pipelines, the latest last:"
    for node in tuple(graph.nodes.values())[-MOST_TOLD:]:
        made = f"made from {' and '.join(node.parents)} by {node.move}" if node.parents else "new"
        yield (
            f"{node.name}, {made}: {composed(node.data)}; "
            f"{_recipe(node.recipe, prompts)}: {_result(node)}{_changed(grounds, node)}."
        )


def _recipe(recipe: Recipe, prompts: Mapping[str, int]) -> str:
    prompt = prompts.get(recipe.hyperparameters.system_prompt)
    return recipe.name + (f", system prompt {prompt}" if prompt else "")


def _result(node: Node) -> str:
    if node.best is None:
        return "could not be trained"
    report = node.best.report
    if report is None:
        return "could not be evaluated"
    verdict = "admitted" if isinstance(node.best.verdict, Admitted) else "refused by the gate"
    return (
        f"score {report.score:.3f} of {report.heldout.total} held-out failures (deployed "
        f"{report.score_before:.3f}), broke {report.regressions} that were right, {verdict}"
    )


def _changed(grounds: Grounds, node: Node) -> str:
    numbers = {p.id: at for at, p in enumerate(grounds.run.patterns[:_PATTERNS], 1) if p.id}
    told = [
        f"pattern {numbers[r.pattern]} {r.before} → {r.after} of {r.total}"
        for r in repairs(grounds.material.graph, node)
        if r.gain and r.pattern in numbers
    ]
    return f"; right now: {', '.join(told)}" if told else ""


def _choices(grounds: Grounds) -> Iterator[str]:
    left = iterations_left(grounds.run, grounds.budget)
    used = spent(grounds.run, grounds.budget)
    yield (
        f"Used so far: {used.trainings} trainings, {used.gpu_seconds:.0f} s of models. "
        f"Iterations left: {left}. Propose {FEWEST} to {grounds.most} configurations."
    )
    bounds = (f"{n} {_bounds(getattr(grounds.ranges, n))}" for n in grounds.ranges.__slots__)
    yield f"Ranges: {', '.join(bounds)}."
    yield (
        "Surgical counts examples for each remaining pattern, noisy is the part of rows with a "
        "noisy twin; gold, hard and replay sum to 1."
    )
    if grounds.form is None:
        yield "This model does not write: leave supervision and system_prompt null."
    else:
        yield f"Supervision: {' or '.join(grounds.supervisions)}. The system prompt may be changed."


def _bounds(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"


def _planned(plan: Iterate) -> str:
    trainings = dict.fromkeys(recipe.training for recipe in plan.recipes)
    origins = [" and ".join(names) for names in plan.origins if names]
    start = f" from {', '.join(origins)}" if origins else ""
    configured = " | ".join(recipe.name for recipe in trainings)
    return f"{plan.move}{start}: {composed(plan.data)}; {configured}"


def _system_prompts(grounds: Grounds) -> Mapping[str, int]:
    nodes = grounds.material.graph.nodes.values()
    found = dict.fromkeys(node.recipe.hyperparameters.system_prompt for node in nodes)
    return {prompt: at for at, prompt in enumerate(filter(None, found), 1)}


def _quoted(grounds: Grounds) -> Iterator[tuple[str, str]]:
    """Names of patterns, prompts and reasons hold words of traces, of people or of a model."""
    for number, pattern in enumerate(grounds.run.patterns[:_PATTERNS], 1):
        yield f"pattern-{number}", pattern.name
    for prompt, number in _system_prompts(grounds).items():
        yield f"system-prompt-{number}", prompt
    for outcome in grounds.run.iterations[-MOST_TOLD:]:
        yield f"reason-of-iteration-{outcome.iteration}", outcome.reason
    yield "reason-of-the-rules", grounds.plan.reason
