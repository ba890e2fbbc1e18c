"""What a chat model's advice on a run's next move is asked on, and held to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.controller.domain.budget import FEWEST, Budget, trainings_left
from services.controller.domain.decision import Decision, Iterate, Move
from services.controller.domain.graph import Node
from services.controller.domain.proposals import Material
from services.controller.domain.ranges import Ranges, ranges_of
from services.controller.domain.rules import Rules
from services.controller.domain.run import Run
from shared.domain.answer_form import AnswerForm
from shared.domain.chat import tidy
from shared.domain.pipeline import Supervision

# How a run begins, is undone or ends is the rules' alone.
_ADVISED = frozenset({Move.REBUILD, Move.TUNE, Move.SURGICAL, Move.PROTECT, Move.EVOLVE, Move.FUSE})
MOST_TOLD = 24


@dataclass(frozen=True, slots=True)
class Grounds:
    """All that the next move is judged by: the run, the rules with their plan, and the time."""

    run: Run
    rules: Rules
    plan: Iterate
    material: Material
    ranges: Ranges
    now: datetime

    @property
    def budget(self) -> Budget:
        return self.rules.budget

    @property
    def most(self) -> int:
        """Configurations of one iteration, at most."""
        left = trainings_left(self.run, self.budget)
        wide = self.rules.search.configurations
        return max(FEWEST, wide if left is None else min(wide, left))

    @property
    def form(self) -> AnswerForm | None:
        return self.run.deployed.task.form

    @property
    def open(self) -> Mapping[str, Node]:
        """The latest pipelines that may be gone on from, by name."""
        return {node.name: node for node in self.material.graph.open[-MOST_TOLD:]}

    def node(self, name: str) -> Node:
        """A pipeline that may be gone on from. Raises ValueError for any other."""
        node = self.open.get(name)
        if node is None:
            raise ValueError(f"no pipeline of the name {tidy(name, 20)!r} may be gone on from")
        return node

    @property
    def moves(self) -> tuple[Move, ...]:
        """The moves that may be proposed here."""
        without = set[Move]()
        if self.material.recipes.congruence <= 0:
            without.add(Move.PROTECT)
        if len(self.open) < 2:
            without.add(Move.FUSE)
        return tuple(move for move in Move if move in _ADVISED - without)

    @property
    def supervisions(self) -> tuple[Supervision, ...]:
        """Ways of answering that a model that writes may be taught."""
        if self.form is None:
            return ()
        return tuple(way for way in Supervision if self.form.can_be_taught(way))


def grounds_for(run: Run, decision: Decision, rules: Rules, now: datetime) -> Grounds | None:
    """What to ask about; None where the rules alone decide."""
    if not isinstance(decision, Iterate) or decision.move not in _ADVISED:
        return None
    material = rules.material(run)
    return Grounds(run, rules, decision, material, ranges_of(material), now)
