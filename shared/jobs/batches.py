"""Which rows go through the model together, so that little of a batch is padding."""

from collections.abc import Sequence
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
