"""Where and in which precision a model runs."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch


def device() -> torch.device:
    """The GPU this process was given, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def use_all_cpus() -> None:
    """Let torch compute on every CPU of this process: Ray gives its drivers OMP_NUM_THREADS=1."""
    torch.set_num_threads(_usable_cpus())


def mixed_precision(on: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast where the hardware multiplies it natively; elsewhere it would cost time."""
    if on.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    if on.type == "cpu" and _cpu_has_bf16():
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


def native_dtype(on: torch.device) -> torch.dtype:
    """What ``mixed_precision`` multiplies in."""
    with mixed_precision(on):
        narrow = torch.is_autocast_enabled(on.type)
        return torch.get_autocast_dtype(on.type) if narrow else torch.float32


def _usable_cpus() -> int:
    # Python before 3.13 has no os.process_cpu_count, macOS has no affinity.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpu_has_bf16() -> bool:
    # torch has no public question for this.
    probe = torch.cpu
    return bool(probe._is_avx512_bf16_supported() or probe._is_amx_tile_supported())  # pyright: ignore[reportPrivateUsage]
