"""What an ear hears beside some clips: their masking thresholds, and coordinates in which energy is audibility.

A search needs one number for how audible a change d is. The threshold says what one line may hold, while a critical
band is heard as a whole, and has six lines at 200 Hz and over a hundred at 10 kHz; so a line counts as many times as
there are lines in its band: sum over cells of lines per Bark abs(cells(d))^2 / threshold. (With every line counted once
the search fills the top octaves, which a model of hearing notices.) That is a quadratic form, and in the right
coordinates an energy, nearly: v = W^-1 L d, with the orthogonal lapped transform L and the form's diagonal W^-2 on its
lines. An attack that looks for the least energy in these coordinates looks for the least audible change. (What lies off
the diagonal costs it about 1 dB, beside one steady tone 5 dB.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.dsp.lapped import lapped, unlapped
from subterfuge.hearing._cells_back import nearest_wave
from subterfuge.hearing._ear_weights import gain, lines_per_bark, weights
from subterfuge.hearing.masking import cells, frame_size, masking_threshold

NEAR = 0.97
"""Part of the threshold's root at which an alternating projection aims: the cells overlap, so some come out above."""


class Ear:
    """The thresholds of clips of one length, and what they mean for changes of these clips.

    Args:
        clean: the clips, shape (N, T).
        threshold: power in the unit of `masking.cells`, shape (N, F, frames).
        sample_rate: of the waves, in Hz.
    """

    def __init__(self, clean: Tensor, threshold: Tensor, sample_rate: int) -> None:
        self.threshold = threshold.mT.contiguous().mT  # in memory as `cells` are: three times as fast
        self.sample_rate, self.length = sample_rate, clean.shape[-1]
        self.size = frame_size(sample_rate)
        self._band = lines_per_bark(self.size, sample_rate).to(threshold)
        self._weight = weights(threshold / self._band[:, None], self.size, self.length)
        loud, weighed = clean.norm(dim=-1), self.masked(clean).norm(dim=-1)
        self._unit = torch.where(loud > 0, weighed / loud.clamp_min(1e-30), weighed.new_ones(()))
        self._weight = self._weight * self._unit[:, None, None]

    @classmethod
    def beside(cls, clean: Tensor, sample_rate: int, *, full_scale_db: float = 96.0) -> Ear:
        """Listen beside clips (N, T), to each by itself: in a batch a threshold's last bits depend on the others."""
        each = [masking_threshold(one[None], sample_rate, full_scale_db=full_scale_db) for one in clean]
        return cls(clean, torch.cat(each), sample_rate)

    def of(self, rows: Tensor | slice) -> Ear:
        """Give the ear beside some of the clips."""
        everyone = torch.arange(len(self.threshold))
        if isinstance(rows, Tensor) and rows.dtype == everyone.dtype and torch.equal(rows, everyone):
            return self  # all of them: no copies
        ear = object.__new__(Ear)
        ear.threshold, ear._weight, ear._unit = self.threshold[rows], self._weight[rows], self._unit[rows]
        ear.sample_rate, ear.length, ear.size, ear._band = self.sample_rate, self.length, self.size, self._band
        return ear

    def ratios(self, change: Tensor) -> Tensor:
        """Give the noise-to-mask ratio of every cell as a ratio of powers, shape (N, F, frames), of changes (N, T)."""
        return self._loudness(change) / self.threshold

    def length_of(self, change: Tensor) -> Tensor:
        """Give the root of the weighed noise-to-mask ratio in the units of `masked`'s lengths, shape (N,)."""
        weighed = (self.ratios(change).sum(-1) * self._band).sum(-1)
        return (weighed / gain(self.size)).sqrt() / self._unit

    def masked(self, change: Tensor) -> Tensor:
        """Give changes (N, T) in the coordinates in which energy is audibility, shape (N, T'); clips keep their length.

        T' is T, filled up to whole blocks.
        """
        return self._scaled(self._filled(change), self._weight.reciprocal())

    def plain(self, v: Tensor) -> Tensor:
        """Give the changes (N, T) that coordinates (N, T') stand for."""
        return self._scaled(v, self._weight)[..., : self.length]

    def turned(self, slope: Tensor) -> Tensor:
        """Give slopes along changes (N, T) as slopes along coordinates (N, T'): the transpose of `plain`."""
        return self._scaled(self._filled(slope), self._weight)

    def unturned(self, slope: Tensor) -> Tensor:
        """Give back the slopes (N, T) of which `turned` made slopes (N, T')."""
        return self._scaled(slope, self._weight.reciprocal())[..., : self.length]

    def _filled(self, wave: Tensor) -> Tensor:
        block = self.size // 2
        return torch.nn.functional.pad(wave, (0, -self.length % block))

    def held(self, change: Tensor, margin_db: float, spare: Tensor | float = 0.0) -> Tensor:
        """Give a change near `change` (N, T) of which every cell lies `margin_db` or more below the threshold.

        Args:
            change: shape (N, T).
            margin_db: how far below the threshold, in dB.
            spare: magnitude that each cell leaves for what is added afterwards (rounding), shape (N, 1, 1).

        Two projections: cells that are too loud are brought down, and the change that comes nearest to the cells is
        taken, by energy first (which goes far), then as the ear weighs it (which spares the quiet neighbours of loud
        cells). What then is too loud still is brought down by a gain over time.
        """
        if not len(change):
            return change
        root = (self.threshold * 10 ** (-margin_db / 10)).sqrt()
        most = torch.maximum(root - spare, 1e-3 * root).square()
        for weighed in (False, True):
            spectrum = cells(change, self.sample_rate)
            over = _power(spectrum) / most
            loud = over.amax((-2, -1)) > 1
            if not bool(loud.any()):
                return change
            factor = (NEAR * over.clamp_min(1e-30).rsqrt()).clamp_max(1)
            if weighed:
                excess = self._nearest(spectrum * ((1 - factor) * self._band[:, None] / self.threshold))
                both = (self._weight / self._unit[:, None, None]).square()
                nearer = change - self._scaled(self._filled(excess), both)[..., : self.length]
            else:
                nearer = self._nearest(spectrum * factor)
            change = torch.where(loud[:, None], nearer, change)
        return self._ducked(change, most)

    def edge(self, slope: Tensor, margin_db: float) -> Tensor:
        """Give the change whose every cell has the phase of the slope's (N, T) and the loudness that is allowed.

        Where holding it down leaves it a smaller gain along the slope than the slope itself has, as loud as is allowed
        (beside a steady tone, say), that is given.
        """
        if not len(slope):
            return slope
        unit = slope / slope.abs().amax(-1, keepdim=True).clamp_min(1e-30)
        spectrum = cells(unit, self.sample_rate)
        allowed = (self.threshold * 10 ** (-margin_db / 10)).sqrt()
        heard = _power(spectrum).sqrt()
        full = self.held(self._nearest(spectrum * (allowed / heard.clamp_min(1e-12))), margin_db)
        plain = unit * (0.9999 / (heard / allowed).amax((-2, -1)).clamp_min(1e-30))[:, None]
        return torch.where(((full - plain) * unit).sum(-1, keepdim=True) > 0, full, plain)

    def _ducked(self, change: Tensor, most: Tensor) -> Tensor:
        """Turn changes down where a frame holds a cell above `most`, and then all over by what is left."""
        over = (self._loudness(change) / most).amax(-2)
        if not bool((over > 1).any()):
            return change
        gain = over.clamp_min(1).rsqrt()  # (N, frames)
        reach = torch.nn.functional.pad(gain[:, None], (2, 2), value=1.0)
        least = -torch.nn.functional.max_pool1d(-reach, 5, stride=1)[:, 0]  # frames centred within a frame's half
        hop = self.size // 4
        ramp = torch.arange(hop, device=gain.device, dtype=gain.dtype) / hop
        smooth = torch.lerp(least[:, :-1, None], least[:, 1:, None], ramp).flatten(1)
        tail = least[:, -1:].expand(-1, self.length - smooth.shape[-1])
        change = change * torch.cat([smooth, tail], dim=-1)
        over = (self._loudness(change) / most).amax((-2, -1))
        return change * over.clamp_min(1).rsqrt()[:, None] * torch.where(over > 1, 0.9999, 1.0)[:, None]

    def _loudness(self, change: Tensor) -> Tensor:
        if not len(change):  # some FFTs refuse to transform nothing
            return torch.zeros_like(self.threshold[:0])
        return _power(cells(change, self.sample_rate))

    def _nearest(self, spectrum: Tensor) -> Tensor:
        return nearest_wave(spectrum, self.size, self.length)

    def _scaled(self, wave: Tensor, weight: Tensor) -> Tensor:
        return unlapped(lapped(wave, self.size // 2) * weight, wave.shape[-1])


def _power(spectrum: Tensor) -> Tensor:
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power
