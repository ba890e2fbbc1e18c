"""Error patterns for tests that care for the confused labels and the examples only."""

from shared.domain.patterns import Character, ErrorPattern, RootCause, Shape


def pattern_of(
    expected: str, predicted: str | None, *examples: str, key: str = "p1"
) -> ErrorPattern:
    return ErrorPattern(
        id=key,
        name=f"{expected} → {predicted}",
        expected=expected,
        predicted=predicted,
        members=tuple(f"t{at}" for at in range(len(examples))),
        share=1.0,
        mean_words=3.0,
        examples=examples,
        confusions=(),
        shape=Shape((3.0, 3.0, 3.0), 0.0),
        character=Character.RECALL,
        cause=RootCause.UNCLEAR,
        evidence="",
    )
