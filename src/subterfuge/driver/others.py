"""Other sounds for an attack that begins elsewhere: those that the user gives, or the embedded clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.training.demo_data import embedded_clips
from subterfuge.victim import Victim


def others_of(
    starts: Sequence[Clip | str | Path] | None,
    victim: Victim,
    clean: Tensor,
    target: str | None,
    announce: Callable[[str], None] = lambda _: None,
) -> Tensor:
    """Give sounds of the length of `clean` (1, T) as the victim hears them, shape (M, T).

    Those that are named as being of the target come first. Short ones are repeated, long ones cut; each is brought to
    the clean clip's level.

    Raises:
        ClipError: one cannot be read.
    """
    given = embedded_clips() if starts is None else starts
    clips = [one if isinstance(one, Clip) else Clip.read(one) for one in given]
    clips.sort(key=lambda clip: clip.label != target)  # stable: the order given, otherwise
    length, level = clean.shape[-1], clean.norm()
    waves = []
    for clip in clips:
        wave = torch.from_numpy(clip.mono(victim.sample_rate))
        wave = wave.repeat(-(-length // max(1, len(wave))))[:length]
        if float(wave.norm()) > 0:
            waves.append(wave * (level / wave.norm()))
        else:
            announce(f"{clip.name} is silent: nothing can start from it")
    return torch.stack(waves) if waves else clean[:0]
