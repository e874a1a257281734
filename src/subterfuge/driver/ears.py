"""The ear beside a clip: what the least masked of its channels hides."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.audio.rates import to_rate
from subterfuge.hearing.ear import Ear
from subterfuge.hearing.masking import masking_threshold
from subterfuge.threat import Limit, Masking


def ear_beside(clip: Clip, clean: Tensor, rate: int, limit: Limit | None = None) -> Ear:
    """Listen beside a clip that a victim hears at `rate` Hz as `clean` (1, T).

    A change goes to every channel alike, so each cell may hold what the mean of the channels hides, and what each
    channel hides by itself: somebody may listen with one ear.
    """
    full_scale_db = limit.full_scale_db if isinstance(limit, Masking) else Masking().full_scale_db
    threshold = masking_threshold(clean, rate, full_scale_db=full_scale_db)
    if clip.channels > 1:
        for channel in clip.samples:
            wave = torch.from_numpy(to_rate(channel.astype("float32"), clip.sample_rate, rate))
            alone = masking_threshold(wave[None].to(clean), rate, full_scale_db=full_scale_db)
            threshold = torch.minimum(threshold, alone)
    return Ear(clean, threshold, rate)
