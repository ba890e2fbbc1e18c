"""Which rows go through the model together, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence
from random import Random


def training_batches(lengths: Sequence[int], *, size: int, rng: Random) -> list[list[int]]:
    """Indices of one epoch in random batches of ``size`` rows of similar length."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    # Sorted within chunks of many batches only: who meets whom stays random.
    chunk = size * 16
    batches: list[list[int]] = []
    for start in range(0, len(order), chunk):
        near = sorted(order[start : start + chunk], key=lengths.__getitem__)
        batches += [near[at : at + size] for at in range(0, len(near), size)]
    rng.shuffle(batches)
    return batches


def inference_batches(lengths: Sequence[int], *, tokens: int, rows: int) -> list[list[int]]:
    """Indices sorted by length, cut so that a padded batch has at most ``tokens`` tokens."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        longest = lengths[batches[-1][0]] if batches else 0
        if batches and (len(batches[-1]) + 1) * longest <= tokens and len(batches[-1]) < rows:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def within_memory(
    batch: Sequence[int], rows: Sequence[Sequence[int]], *, tokens: int
) -> Iterator[list[int]]:
    """Parts of a batch that hold at most ``tokens`` when padded; a longer row stands alone."""
    part: list[int] = []
    longest = 0
    for index in batch:
        reach = max(longest, len(rows[index]))
        if part and reach * (len(part) + 1) > tokens:
            yield part
            part, reach = [], len(rows[index])
        part.append(index)
        longest = reach
    if part:
        yield part
