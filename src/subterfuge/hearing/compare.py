"""How two sounds differ, in every metric there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio import Clip
from subterfuge.errors import ClipError
from subterfuge.hearing.levels import level_db, peak, snr_db
from subterfuge.hearing.loudness import MOST_CHANNELS, level_difference_lu
from subterfuge.hearing.noise_to_mask import noise_to_mask, noise_to_mask_of_channels
from subterfuge.hearing.segmental import segmental_snr_db
from subterfuge.hearing.visqol import LONGEST_SECONDS, has_visqol, visqol_mos
from subterfuge.hearing.zimtohrli import mos_of_distance, zimtohrli_distance


@dataclass(frozen=True)
class Difference:
    """The measures of a change from one sound to another; `subterfuge.hearing.metrics` says what each is good for.

    None is what could not be measured: too short, silent, not installed, or of files that share no samples.
    """

    snr_db: float
    """Of the mean over channels at `rate_hz`, in dB; infinite for no change. More is quieter."""
    file_snr_db: float | None
    """Over all channels at the file's rate, in dB; None where rates, channels or lengths differ."""
    segsnr_db: float
    """Segmental SNR of the mono fold, -10 .. 35 dB."""
    peak: float | None
    """Largest change of a sample, in parts of full scale; None as `file_snr_db`."""
    level_db: float
    """Root mean square of the change of the mono fold, in dB of full scale."""
    changed_share: float | None
    """Part of the file's samples that changed at all; None as `file_snr_db`."""
    level_difference_lu: float | None
    """How much louder the sound became, in LU, over all channels where both have the same, else of the folds."""
    nmr_db: float | None
    """Noise-to-mask ratio of the mono fold, in dB: below 0 the change is masked on average."""
    nmr_worst_frame_db: float | None
    """The same of the frame where it is largest."""
    share_above_threshold: float | None
    """Part of the cells of time and frequency where the change is above the threshold, 0 .. 1."""
    nmr_worst_channel_db: float | None
    """Noise-to-mask ratio of the channel where it is largest, each against its own threshold; None as `file_snr_db`."""
    share_above_threshold_channels: float | None
    """Part of the cells of all channels where the change is above its channel's threshold; None as `file_snr_db`."""
    zimtohrli_distance: float | None
    """From 0 (alike) to 1."""
    zimtohrli_mos: float | None
    """From 1 (bad) to 5 (no difference heard)."""
    visqol_mos: float | None
    """From 1 (bad) to 4.73 (no difference)."""
    rate_hz: int
    """At which the mono fold was compared."""
    lag_samples: int = 0
    """By which the second sound was moved before they were compared, at the first one's rate."""
    left_out_samples: int = 0
    """Of the longer sound, since they do not overlap."""
    notes: tuple[str, ...] = ()
    """What was done to compare them, and what is odd."""

    def further(self) -> dict[str, Any]:
        """Give what an outcome records beside `snr_db`, `file_snr_db`, `peak` and `zimtohrli_mos`."""
        return {
            key: getattr(self, key)
            for key in (
                "segsnr_db",
                "nmr_db",
                "nmr_worst_frame_db",
                "share_above_threshold",
                "nmr_worst_channel_db",
                "share_above_threshold_channels",
                "level_difference_lu",
                "zimtohrli_distance",
                "visqol_mos",
            )
        }


def compare(
    clean: Clip,
    changed: Clip,
    rate_hz: int | None = None,
    *,
    visqol: bool | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Difference:
    """Measure a change, sample by sample.

    Args:
        clean: before.
        changed: after.
        rate_hz: at which the mono folds are compared; the clean clip's own if None.
        visqol: whether to ask ViSQOL; None asks where it is installed and the sound has at most 10 s.
        progress: called after each model of hearing with how many are done, and of how many.

    Raises:
        ClipError: the two differ in length at that rate; `compare_files` can align them.
        MissingExtra: ViSQOL was asked for, and is not installed.
    """
    rate = rate_hz or clean.sample_rate
    before, after = clean.mono(rate), changed.mono(rate)
    if len(before) != len(after):
        raise ClipError(
            f"{clean.name} has {len(before)} samples at {rate} Hz and {changed.name} has {len(after)}; "
            "sounds of one length were expected, since a change is measured sample by sample"
        )
    alike = clean.samples.shape == changed.samples.shape and clean.sample_rate == changed.sample_rate
    if visqol is None:
        visqol = clean.seconds <= LONGEST_SECONDS and has_visqol()
    masks = mask = noise_to_mask(before, after, rate)
    progress(1, 4)
    if clean.channels > 1 or clean.sample_rate != rate or not alike:
        masks = noise_to_mask_of_channels(clean.samples, changed.samples, clean.sample_rate) if alike else None
    progress(2, 4)
    distance = zimtohrli_distance(before, after, rate)
    progress(3, 4)
    return Difference(
        snr_db=snr_db(before, after),
        file_snr_db=snr_db(clean.samples, changed.samples) if alike else None,
        segsnr_db=segmental_snr_db(before, after, rate),
        peak=peak(clean.samples, changed.samples) if alike else None,
        level_db=level_db(np.asarray(after, dtype=np.float64) - before),
        changed_share=float(np.mean(clean.samples != changed.samples)) if alike else None,
        level_difference_lu=_level_difference(clean, changed, before, after, rate),
        nmr_db=None if mask is None else mask.mean_db,
        nmr_worst_frame_db=None if mask is None else mask.worst_frame_db,
        share_above_threshold=None if mask is None else mask.share_above,
        nmr_worst_channel_db=None if masks is None else masks.mean_db,
        share_above_threshold_channels=None if masks is None else masks.share_above,
        zimtohrli_distance=distance,
        zimtohrli_mos=None if distance is None else mos_of_distance(distance),
        visqol_mos=visqol_mos(before, after, rate) if visqol else None,
        rate_hz=rate,
    )


def _level_difference(
    clean: Clip, changed: Clip, before: NDArray[np.float32], after: NDArray[np.float32], rate: int
) -> float | None:
    if clean.channels == changed.channels <= MOST_CHANNELS:
        return level_difference_lu(clean.samples, changed.samples, clean.sample_rate, changed.sample_rate)
    return level_difference_lu(before, after, rate)
