"""Where a victim computes."""

from __future__ import annotations

import torch

from subterfuge.errors import InputError


def device_of(name: str) -> torch.device:
    """Give the torch device of a name such as "cpu", "cuda" or "cuda:1".

    Raises:
        InputError: it is no device, or this machine has none such.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as reason:
        cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
        has = f"it has {cards} CUDA device{'s' if cards > 1 else ''}" if cards else "it has no CUDA device"
        said = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
        raise InputError(
            f'device = "{name}" cannot be used on this machine: {has} ({said:.150}); use "cpu", or "cuda" where there '
            "is a CUDA device"
        ) from None
    return device
