"""The ear beside a clip: what the least masked of its channels hides."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.audio.rates import to_rate
from subterfuge.hearing.ear import Ear
from subterfuge.hearing.masking import frame_size, masking_threshold
from subterfuge.threat import Limit, Masking


def ear_beside(clip: Clip, clean: Tensor, rate: int, limit: Limit | None = None) -> Ear:
    """Listen beside a clip that a victim hears at `rate` Hz as `clean` (1, T).

    A change goes to every channel alike, so each cell may hold what the mean of the channels hides, and what each
    channel hides by itself, at the file's own rate too: somebody may listen with one ear, and nobody resamples.
    """
    full_scale_db = limit.full_scale_db if isinstance(limit, Masking) else Masking().full_scale_db
    threshold = masking_threshold(clean, rate, full_scale_db=full_scale_db)
    if clip.channels > 1:
        for channel in clip.samples:
            wave = torch.from_numpy(to_rate(channel.astype("float32"), clip.sample_rate, rate))
            alone = masking_threshold(wave[None].to(clean), rate, full_scale_db=full_scale_db)
            threshold = torch.minimum(threshold, alone)
    if clip.sample_rate != rate:
        for channel in clip.samples:
            wave = torch.from_numpy(channel.astype("float32"))[None].to(clean)
            there = masking_threshold(wave, clip.sample_rate, full_scale_db=full_scale_db)
            threshold = torch.minimum(threshold, _at_rate(there, clip.sample_rate, rate, threshold.shape))
    return Ear(clean, threshold, rate)


def _at_rate(threshold: Tensor, of: int, rate: int, shape: torch.Size) -> Tensor:
    """Give what cells at `rate` Hz may hold by the thresholds (1, F, frames) of those at `of` Hz nearest to them.

    Where frames there have another length, the three that are nearest in time count. What they still let through, the
    judge finds.
    """
    seconds, own = frame_size(of) / of, frame_size(rate) / rate
    wide = 1 if seconds == own else 3
    least = -torch.nn.functional.max_pool2d(-threshold, (1, wide), stride=1, padding=(0, wide // 2))
    line = (torch.arange(shape[-2], dtype=torch.float64) * (seconds / own)).round().long()
    frame = (torch.arange(shape[-1], dtype=torch.float64) * (own / seconds)).round().long()
    near = least[:, line.clamp_max(least.shape[-2] - 1)][..., frame.clamp_max(least.shape[-1] - 1)]
    reached = line < least.shape[-2]  # nothing above the file's highest frequency reaches it
    return torch.where(reached[:, None], near, torch.inf).to(threshold)
