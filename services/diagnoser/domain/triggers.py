"""When a model's new failures are worth a diagnosis."""


def should_diagnose(
    new_failures: int,
    newest_failure_age_s: float,
    *,
    min_failures: int,
    quiet_s: float,
    max_failures: int | None = None,
) -> bool:
    """Enough new failures and none for ``quiet_s`` seconds, or so many that waiting is pointless.

    The quiet lets one burst become one diagnosis; ``max_failures`` keeps steady traffic, which is
    never quiet, from putting it off for ever.
    """
    if new_failures < max(min_failures, 1):
        return False
    if max_failures is not None and new_failures >= max_failures:
        return True
    return newest_failure_age_s >= quiet_s
