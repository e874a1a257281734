"""Variants of seed sounds: what a victim is asked about so that a substitute of it can be taught."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def variants(seeds: Tensor, count: int, home: int, die: torch.Generator) -> Tensor:
    """Draw variants (count, T) of seeds (M, T), three of four of them of the first `home`.

    A quarter each: white noise 15 to 65 dB below; another seed mixed in, 0 to 50 dB below; up to 40 bands, even in
    mel, made louder and softer by up to some 12 dB; and some bands filled up with noise, 20 to 70 dB below their own
    mean level, which is what lifts averaged log-spectra at the least energy. Each is made up to some dB louder or
    softer as a whole, and kept within full scale.
    """
    made = [_variant(seeds, home, die) for _ in range(count)]
    return torch.stack(made) if made else seeds[:0]


def _variant(seeds: Tensor, home: int, die: torch.Generator) -> Tensor:
    among = home if _chance(die) < 0.75 else len(seeds)
    sound = seeds[int(torch.randint(among, (1,), generator=die))]
    kind = int(torch.randint(4, (1,), generator=die))
    if kind == 0:
        db, noise = 15 + 50 * _chance(die), torch.randn(sound.shape, generator=die).to(sound)
        sound = sound + noise * (sound.norm() / math.sqrt(len(sound)) * 10 ** (-db / 20))
    elif kind == 1:
        other = seeds[int(torch.randint(len(seeds), (1,), generator=die))]
        sound = sound + other * (sound.norm() / other.norm().clamp_min(1e-30) * 10 ** (-50 * _chance(die) / 20))
    else:
        sound = _banded(sound, kind == 2, die)
    louder_db = 2 * float(torch.randn(1, generator=die))
    return (sound * 10 ** (louder_db / 20)).clamp(-1, 1)


def _banded(sound: Tensor, filtered: bool, die: torch.Generator) -> Tensor:
    """Make bands louder and softer, or fill some of them with noise."""
    size = min(1024, 1 << max(4, (len(sound) // 4).bit_length()))
    window = torch.hann_window(size, dtype=sound.dtype)
    spectrum = torch.stft(sound, size, size // 4, window=window, return_complex=True)
    bands = int(torch.randint(6, 40, (1,), generator=die))
    mel = torch.log10(1 + torch.linspace(0, 1, len(spectrum)) * 30)
    band_of = (mel / mel[-1] * bands).long().clamp_max(bands - 1)
    if filtered:
        gain_db = torch.randn(bands, generator=die) * (12 * _chance(die) ** 2)
        spectrum = spectrum * 10 ** (gain_db[band_of][:, None] / 20)
    else:
        level = spectrum.abs().square().mean(1).sqrt()
        fill = 10 ** (-(20 + 50 * torch.rand(bands, generator=die)) / 20)
        fill = fill * (torch.rand(bands, generator=die) < _chance(die))
        own = torch.zeros(bands).index_add(0, band_of, level.float()) / torch.bincount(
            band_of, minlength=bands
        ).clamp_min(1)
        turn = torch.rand(spectrum.shape, generator=die) * (2 * torch.pi)
        spectrum = spectrum + torch.polar(torch.ones_like(turn), turn).to(spectrum) * (own * fill)[band_of][:, None]
    return torch.istft(spectrum, size, size // 4, window=window, length=len(sound))


def _chance(die: torch.Generator) -> float:
    return float(torch.rand(1, generator=die))
