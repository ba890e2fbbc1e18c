"""Text classification: the answer is one label of a fixed set."""

from shared.domain.tasks import Task


class Classification:
    """Exact match of the stripped label."""

    def is_right(self, output: str, target: str) -> bool:
        return output.strip() == target.strip()

    def objection(self, target: str, task: Task) -> str | None:
        if target in task.labels:
            return None
        return f"{target[:80]!r} is not one of the {len(task.labels)} labels"
