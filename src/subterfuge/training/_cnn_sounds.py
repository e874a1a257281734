"""What the network hears in training: sounds read once, and what becomes of a piece of one in each epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.errors import ClipError, TransformError
from subterfuge.training._datasets_walk import shown
from subterfuge.training.augment import Wave, augmented, parse_augments
from subterfuge.training.examples import Dataset
from subterfuge.transforms import Transform, parse_transforms

GAIN_DB = (-6.0, 6.0)
"""How much louder a piece is made, drawn evenly."""
MIXED = 0.25
"""Share of the pieces with another one mixed in."""
MOST_MIXED = 0.5
"""How much of a piece the other one is at most."""
BANDS, MOMENTS = 0.15, 0.2
"""The largest share of the bands, and of the frames, that is blanked."""

Augmenter = Callable[[Wave, int, torch.Generator], list[Wave]]
"""From a wave (T,), its rate in Hz and a generator to what becomes of it."""


@dataclass(frozen=True, eq=False)
class Sounds:
    """Sounds of a set, mono, in order."""

    waves: list[Tensor]
    """(T,) float32 each, through the transforms already where nothing is augmented before them."""
    classes: list[int]
    """The place of each one's label, -1 where it is none of those asked for."""
    skipped: tuple[str, ...]
    sample_rate: int
    transforms: tuple[Transform, ...]
    """Those that are still ahead."""
    variants: Augmenter | None
    front: tuple[Transform, ...] = ()
    """All that a sound passes before the network."""
    bare: tuple[Tensor, ...] = ()
    """`waves` before any of them, where they are through already and are wanted; else nothing."""

    @classmethod
    def read(
        cls,
        data: Dataset,
        places: Sequence[int],
        labels: Sequence[str],
        sample_rate: int,
        *,
        through: str,
        augment: str,
        seed: int,
        told: Callable[[], None],
        bare: bool = False,
    ) -> Sounds:
        """Read the examples at some places; leave out, and name, those that cannot be read or put through.

        With `bare` they are kept as they were before the transforms too.

        Raises:
            TransformError: `through` names no transform.
            InputError: `augment` names no augmentation.
        """
        transforms = parse_transforms(through) if through else ()
        variants = _augmenter(augment)
        waves, classes, skipped, kept = [], [], [], []
        for place in places:
            example = data.examples[place]
            try:
                mono = Clip.read(example.path).mono(sample_rate)
                die = torch.Generator().manual_seed(((seed << 24) + place) % (1 << 62))
                wave = _passed(torch.from_numpy(mono), transforms, sample_rate, die)
            except (ClipError, TransformError) as error:
                skipped.append(shown(f"{error}" if str(example.path) in str(error) else f"{example.path}: {error}"))
            else:
                waves.append(torch.from_numpy(mono) if variants else wave)
                if bare and transforms and not variants:
                    kept.append(torch.from_numpy(mono))
                classes.append(labels.index(example.label) if example.label in labels else -1)
            told()
        ahead = transforms if variants else ()
        return cls(waves, classes, tuple(skipped), sample_rate, ahead, variants, transforms, tuple(kept))


def piece(sounds: Sounds, row: int, length: int, die: torch.Generator, *, bare: bool = False) -> Tensor:
    """Draw a piece (length,) of a sound, one of its variants, through what is ahead of it, at a drawn level.

    With `bare` it is through no transform yet.
    """
    wave = sounds.bare[row] if bare and sounds.bare else sounds.waves[row]
    room = len(wave) - length
    begin = int(torch.randint(max(1, abs(room) + 1), (1,), generator=die))
    heard = wave[begin : begin + length] if room >= 0 else _padded(wave, begin, length)
    if sounds.variants is not None:
        choice = sounds.variants(heard.numpy(), sounds.sample_rate, die)
        heard = torch.from_numpy(choice[int(torch.randint(len(choice), (1,), generator=die))])
        heard = heard if bare else _fitted(_passed(heard, sounds.transforms, sounds.sample_rate, die), length)
    low, high = GAIN_DB
    gain_db = low + (high - low) * float(torch.rand(1, generator=die))
    return heard[:length] * 10 ** (gain_db / 20)


class Behind(torch.nn.Module):
    """A network behind the stand-ins of transforms: what one follows who changes the sound before them.

    Args:
        net: from waves (n, T) to logits.
        front: the transforms, with a gradient of their own or straight through; what they draw is drawn anew each time.
        sample_rate: in Hz.
        die: for their draws.
    """

    def __init__(
        self, net: torch.nn.Module, front: Sequence[Transform], sample_rate: int, die: torch.Generator
    ) -> None:
        super().__init__()
        self.net, self.front, self.sample_rate, self.die = net, tuple(front), sample_rate, die

    def forward(self, waves: Tensor) -> Tensor:
        """Give the logits of waves (n, T) as they come out of the transforms."""
        for one in self.front:
            waves = one.stand_in(waves, self.sample_rate, self.die)
        logits: Tensor = self.net(waves)
        return logits


def passed(sounds: Sounds, waves: Tensor, die: torch.Generator) -> Tensor:
    """Put changed pieces (n, T) truly through all transforms: (n, T); what one refuses, through its stand-in."""
    rows = []
    for wave in waves:
        for one in sounds.front:
            try:
                wave = _passed(wave, [one], sounds.sample_rate, die)
            except TransformError:  # as a gain that would clip: its stand-in stops at full scale
                wave = one.stand_in(wave[None], sounds.sample_rate, die)[0]
        rows.append(_fitted(wave, waves.shape[-1]))
    return torch.stack(rows)


def mixed(waves: Tensor, wanted: Tensor, die: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mix some rows of waves (n, T) with others, and what is wanted of them (n, K) in the same parts."""
    count = len(waves)
    if count < 2:
        return waves, wanted
    other = torch.randperm(count, generator=die)
    chosen = torch.rand(count, 1, generator=die) < MIXED
    part = MOST_MIXED * torch.rand(count, 1, generator=die) * chosen
    return (1 - part) * waves + part * waves[other], (1 - part) * wanted + part * wanted[other]


def blanked(spectrogram: Tensor, die: torch.Generator) -> Tensor:
    """Set some neighbouring bands, and some neighbouring frames, of each of (n, bands, frames) to its own mean."""
    out = spectrogram
    mean = spectrogram.mean((1, 2), keepdim=True)
    for axis, most in ((1, BANDS), (2, MOMENTS)):
        size = spectrogram.shape[axis]
        width = torch.rand(len(out), generator=die) * most * size
        begin = torch.rand(len(out), generator=die) * (size - width)
        at = torch.arange(size)
        inside = (at >= begin[:, None]) & (at < (begin + width)[:, None])
        out = torch.where(inside.unsqueeze(3 - axis), mean, out)
    return out


def _padded(wave: Tensor, before: int, length: int) -> Tensor:
    return torch.nn.functional.pad(wave, (before, length - len(wave) - before))


def _fitted(wave: Tensor, length: int) -> Tensor:
    """Cut a wave (T,), or fill it up with silence, as after a crop: (length,)."""
    return wave[:length] if len(wave) >= length else _padded(wave, 0, length)


def _passed(wave: Tensor, transforms: Sequence[Transform], sample_rate: int, die: torch.Generator) -> Tensor:
    """Put a wave (T,) through the real transforms."""
    if not transforms:
        return wave
    samples = wave.numpy()[None]
    for one in transforms:
        samples = one.real(samples, sample_rate, die)
    return torch.from_numpy(np.ascontiguousarray(samples[0], dtype=np.float32))


def _augmenter(words: str) -> Augmenter | None:
    ways = parse_augments(words)
    return partial(augmented, ways) if ways else None
