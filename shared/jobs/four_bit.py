"""A frozen base held in 4-bit while adapters are trained on it (QLoRA, Dettmers et al. 2023).

Only its training is: the adapter is saved as any other, and answers on the base as it is.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from shared.errors import BadInput
from shared.jobs.devices import native_dtype
from shared.jobs.weights import first_line

_PACKAGE = "bitsandbytes"
_REMEDY = "set PIONEER_FOUR_BIT=false"


def nf4(on: torch.device) -> dict[str, Any]:
    """What ``load_weights`` is told for a base in NF4 on a device.

    Raises BadInput where bitsandbytes is not installed, or cannot compute there.
    """
    if find_spec(_PACKAGE) is None:
        raise BadInput(
            "a base in 4-bit needs bitsandbytes where jobs run: pip install "
            f"'pioneer-loop[four-bit]', or {_REMEDY}"
        )
    _check_computes(on)
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=native_dtype(on),
    )
    # Each weight is made small as it comes: the base is never whole on the device.
    return {"quantization_config": config, "device_map": {"": str(on)}}


def _check_computes(on: torch.device) -> None:
    """What a build or a GPU lacks, it says when it first computes."""
    try:
        functional: Any = import_module(f"{_PACKAGE}.functional")
        given = torch.linspace(-1, 1, 64, device=on)
        packed, state = functional.quantize_4bit(given, blocksize=64, quant_type="nf4")
        found = functional.dequantize_4bit(packed, state)
        right = bool(((found - given).abs() < 0.2).all())
        reason = "its numbers are wrong"
    except (ImportError, RuntimeError, NotImplementedError, OSError, AttributeError) as error:
        right, reason = False, first_line(error)
    if not right:
        raise BadInput(
            f"bitsandbytes cannot hold a base in 4-bit on this {on.type} ({reason}): {_REMEDY}, or "
            "train where it can"
        )
