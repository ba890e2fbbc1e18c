"""Text classification: the answer is one label of a fixed set."""

from collections.abc import Iterable, Mapping

from shared.domain.entity_errors import Hits
from shared.domain.tasks import Head, Task


class Classification:
    """Exact match of the stripped label; labels are their own names."""

    head = Head.TEXT
    answers_are_labels = True
    compares = True

    def is_right(self, output: str, target: str) -> bool:
        return output.strip() == target.strip()

    def objection(self, target: str, task: Task, text: str | None = None) -> str | None:
        if target in task.labels:
            return None
        return f"{target[:80]!r} is not one of the {len(task.labels)} labels"

    def canonical(self, answer: str, text: str) -> str:
        return answer

    def confusion(self, output: str, target: str) -> tuple[str, str]:
        return target, output

    def misses(self, expected: str, predicted: str | None) -> bool | None:
        return None

    def sort(self, target: str) -> str:
        return target

    def lesson(self, output: str, target: str) -> tuple[str, str]:
        return target, output

    def by_type(self, answers: Iterable[tuple[str, str]]) -> Mapping[str, Hits]:
        return {}
