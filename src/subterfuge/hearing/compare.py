"""How two sounds differ, in every metric there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subterfuge.audio import Clip
from subterfuge.errors import ClipError
from subterfuge.hearing.levels import level_db, peak, snr_db
from subterfuge.hearing.zimtohrli import zimtohrli_mos


@dataclass(frozen=True)
class Difference:
    """The measures of a change from one sound to another."""

    snr_db: float
    """Of the mean over channels at `rate_hz`, in dB; infinite for no change. More is quieter."""
    file_snr_db: float | None
    """Over all channels at the file's rate, in dB; None where rates, channels or lengths differ."""
    peak: float | None
    """Largest change of a sample, in parts of full scale; None as above."""
    level_db: float
    """Root mean square of the change of the mono fold, in dB of full scale."""
    zimtohrli_mos: float | None
    """From 1 (bad) to 5 (no difference heard)."""
    changed_share: float | None
    """Part of the file's samples that changed at all; None as above."""
    rate_hz: int
    """At which the mono fold was compared."""


def compare(clean: Clip, changed: Clip, rate_hz: int | None = None) -> Difference:
    """Measure a change.

    Args:
        clean: before.
        changed: after.
        rate_hz: at which the mono folds are compared; the clean clip's own if None.

    Raises:
        ClipError: the two differ in length at that rate.
    """
    rate = rate_hz or clean.sample_rate
    before, after = clean.mono(rate), changed.mono(rate)
    if len(before) != len(after):
        raise ClipError(
            f"{clean.name} has {len(before)} samples at {rate} Hz and {changed.name} has {len(after)}; "
            "sounds of one length were expected, since a change is measured sample by sample"
        )
    alike = clean.samples.shape == changed.samples.shape and clean.sample_rate == changed.sample_rate
    return Difference(
        snr_db=snr_db(before, after),
        file_snr_db=snr_db(clean.samples, changed.samples) if alike else None,
        peak=peak(clean.samples, changed.samples) if alike else None,
        level_db=level_db(np.asarray(after, dtype=np.float64) - before),
        zimtohrli_mos=zimtohrli_mos(before, after, rate),
        changed_share=float(np.mean(clean.samples != changed.samples)) if alike else None,
        rate_hz=rate,
    )
