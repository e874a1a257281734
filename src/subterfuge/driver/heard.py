"""What a victim hears of a clip, and the clips of which it hears nothing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio import Clip
from subterfuge.errors import ClipError
from subterfuge.victim import Victim

QUIET = 1e-4
"""Peak below which a clip is near-silent: a change of one 16-bit step is louder."""


def check_heard(clip: Clip, victim: Victim) -> None:
    """Refuse a clip of which a victim hears nothing.

    Raises:
        ClipError: it is silent, or nearly so, or its channels cancel.
    """
    heard_wave(clip, victim.sample_rate, [])


def heard_wave(clip: Clip, rate: int, notes: list[str]) -> NDArray[np.float32]:
    """Give a clip as a victim hears it, mono at its rate, shape (T,); note what became of it on the way.

    Raises:
        ClipError: it is silent, or nearly so, or its channels cancel.
    """
    top = float(np.max(np.abs(clip.samples), initial=0.0))
    if clip.is_silent or top == 0:
        raise ClipError(f"{clip.name} is digital silence: every sample is zero, so no change is quiet beside it")
    if top < QUIET:
        raise ClipError(
            f"{clip.name} is near-silent: its peak is {20 * math.log10(top):.0f} dB of full scale, and {QUIET:g} "
            f"({20 * math.log10(QUIET):.0f} dB) or more was expected; raise its level first"
        )
    wave = clip.mono(rate)
    if float(np.max(np.abs(wave))) < QUIET:
        raise ClipError(
            f"{clip.name}: the mean of its {clip.channels} channels at {rate} Hz, which is what the victim hears, is "
            "near-silent, for they cancel; give one channel alone"
        )
    if clip.channels > 1:
        notes.append(f"the victim hears the mean of {clip.channels} channels")
    if clip.sample_rate != rate:
        notes.append(f"the victim hears {clip.sample_rate} Hz resampled to {rate} Hz")
    return wave
