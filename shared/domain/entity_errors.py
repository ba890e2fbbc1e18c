"""What is wrong with the entities an answer names: false positives apart from misses (§4.4)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.entities import Entity


class Fault(StrEnum):
    """``hallucinated``: the text has no entity at all; ``spurious``: none is there."""

    HALLUCINATED = "hallucinated"
    SPURIOUS = "spurious"
    WRONG_TYPE = "wrong_type"
    WRONG_BOUNDARY = "wrong_boundary"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class EntityError:
    """``expected`` and ``given`` are types; None where there is no entity to name."""

    fault: Fault
    expected: str | None
    given: str | None


def entity_errors(found: Sequence[Entity], right: Sequence[Entity]) -> list[EntityError]:
    """Each error once, in the order of the text; none when the entities are the same.

    A wrong entity is compared with the first right one that it overlaps.
    """
    open_right = [entity for entity in right if entity not in found]
    errors: list[tuple[int, EntityError]] = []
    for entity in (entity for entity in found if entity not in right):
        meant = next((other for other in open_right if other.overlaps(entity)), None)
        if meant is None:
            fault = Fault.SPURIOUS if right else Fault.HALLUCINATED
            errors.append((entity.start, EntityError(fault, None, entity.type)))
            continue
        open_right.remove(meant)
        fault = Fault.WRONG_TYPE if meant.type != entity.type else Fault.WRONG_BOUNDARY
        errors.append((meant.start, EntityError(fault, meant.type, entity.type)))
    errors += [(e.start, EntityError(Fault.MISSED, e.type, None)) for e in open_right]
    return [error for _, error in sorted(errors, key=lambda pair: pair[0])]


@dataclass(frozen=True, slots=True)
class Hits:
    """Entities counted: right ones found, all found, all right ones."""

    hit: int = 0
    found: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        return self.hit / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.hit / self.right if self.right else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.hit / (self.found + self.right) if self.hit else 0.0


@dataclass(frozen=True, slots=True)
class EntityScores:
    """Of many answers: all entities together (micro), and those of each type."""

    overall: Hits
    of_type: dict[str, Hits] = field(default_factory=dict[str, Hits])


def entity_scores(pairs: Iterable[tuple[Sequence[Entity], Sequence[Entity]]]) -> EntityScores:
    """Scores of (found, right) pairs; an entity counts when start, end and type are right."""
    hit, found, right = Counter[str](), Counter[str](), Counter[str]()
    for answered, asked in pairs:
        found.update(entity.type for entity in answered)
        right.update(entity.type for entity in asked)
        hit.update(entity.type for entity in {*answered} & {*asked})
    return EntityScores(
        Hits(hit.total(), found.total(), right.total()),
        {name: Hits(hit[name], found[name], right[name]) for name in sorted(found | right)},
    )
