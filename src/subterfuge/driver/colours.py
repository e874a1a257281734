"""Noises of many colours, from which a sound that is made from nothing may begin."""

from __future__ import annotations

import torch
from torch import Tensor

KNOTS = 11
"""Bends of a noise's spectrum, evenly over the octaves from 16 Hz to 32 kHz."""


def coloured(samples: int, sample_rate: float, die: torch.Generator) -> Tensor:
    """Draw a noise (T,) of rms 1, of a colour by chance: steady, or in bursts that die away.

    The spectrum falls by 0 to 15 dB an octave and bends by some 8 dB at eleven places; three in five come in bursts,
    one in 0.15 to 1.5 s. A model that knows only some region of its features is flat far away from it: one of many
    colours comes near.
    """

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=die))

    hz = torch.fft.rfftfreq(samples, 1 / sample_rate).clamp_min(20.0)
    octaves = torch.log2(hz / 1000)
    bends = 8 * torch.randn(KNOTS, generator=die)
    place = ((octaves + 6) / 11 * (KNOTS - 1)).clamp(0, KNOTS - 1 - 1e-4)
    knot = place.floor().long()
    part = place - knot
    level_db = -between(0, 15) * octaves + bends[knot] * (1 - part) + bends[knot + 1] * part
    white = torch.fft.rfft(torch.randn(samples, generator=die))
    wave: Tensor = torch.fft.irfft(white * 10 ** (level_db / 20), n=samples)
    if between(0, 1) < 0.6:
        period = between(0.15, 1.5)
        decay = period * between(0.05, 1)
        wave = wave * torch.exp(-((torch.arange(samples) / sample_rate) % period) / decay)
    loud: Tensor = wave / wave.square().mean().sqrt().clamp_min(1e-30)
    return loud
