"""Where and in which precision a model runs."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch


def device() -> torch.device:
    """The GPU this process was given, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def usable_cpus() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mixed_precision(on: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast where the hardware multiplies it natively; elsewhere it would cost time."""
    # Ray gives OMP_NUM_THREADS=1 to drivers: callers set the threads themselves.
    if on.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    if on.type == "cpu" and _cpu_has_bf16():
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
