"""Decibels, and the cepstrum that is the cosine transform of mel bands in decibels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from subterfuge.dsp.constants import dct_matrix
from subterfuge.dsp.mel import melspectrogram


def power_to_db(power: Tensor, *, ref: float = 1.0, amin: float = 1e-10, top_db: float | None = 80.0) -> Tensor:
    """Convert power to decibels, ``10 log10(max(power, amin) / ref)``, at most `top_db` below the loudest.

    The loudest is sought in each clip by itself, over the last two axes (librosa seeks it in the whole array,
    which for one clip is the same). The clamped entries are the loudest less `top_db`, so they pass their
    gradient to it.

    Args:
        power: at least 0, shape (..., bands, frames).
        ref: the power that is 0 dB.
        amin: what smaller powers, and a smaller `ref`, are taken for.
        top_db: the range in dB, or None for no limit.

    Returns:
        dB, in the shape of `power`.

    Source: `librosa.power_to_db`.
    """
    if amin <= 0:
        raise ValueError(f"amin={amin} must be above 0")
    if top_db is not None and top_db < 0:
        raise ValueError(f"top_db={top_db} must be at least 0, or None")
    db = 10 * power.clamp_min(amin).log10() - 10 * torch.log10(power.new_tensor(max(amin, abs(ref))))
    return db if top_db is None else torch.maximum(db, db.amax((-2, -1), keepdim=True) - top_db)


def mfcc(
    wave: Tensor,
    *,
    sample_rate: float,
    n_mfcc: int = 20,
    norm: str | None = "ortho",
    lifter: float = 0,
    mel_norm: str | None = "slaney",
    **mel: Any,
) -> Tensor:
    """Give the first cepstral coefficients: the DCT-II over mel bands in decibels.

    Args:
        wave: samples, shape (..., T), float32 or float64.
        sample_rate: Hz.
        n_mfcc: how many coefficients.
        norm: "ortho", or None for the unscaled DCT.
        lifter: L above 0 weighs coefficient n by ``1 + L/2 sin(π (n + 1) / L)``.
        mel_norm: the `norm` of `melspectrogram`.
        mel: passed to `melspectrogram`.

    Returns:
        shape (..., n_mfcc, frames).

    Source: `librosa.feature.mfcc`, with its defaults ``ref=1``, ``amin=1e-10``, ``top_db=80``.
    """
    db = power_to_db(melspectrogram(wave, sample_rate=sample_rate, norm=mel_norm, **mel))
    matrix = dct_matrix(n_mfcc, db.shape[-2], norm == "ortho", torch.float64, db.device)
    if lifter > 0:
        n = torch.arange(1, 1 + n_mfcc, dtype=torch.float64, device=db.device)
        matrix = matrix * (1 + lifter / 2 * torch.sin(torch.pi * n / lifter))[:, None]
    return (matrix @ db.double()).to(db.dtype)
