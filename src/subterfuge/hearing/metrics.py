"""What each metric is: its name, its unit, what is good, and what it cannot see.

Why a noise-to-mask ratio is good at -15 dB and not at 0: the threshold is that of one cell, and a critical band holds
up to some thirty of them. The standard lets all noise of a subband (32 cells at 44.1 kHz, which is 15 dB) come to what
we grant each cell. Measured on four clips of music: noise of the threshold's shape has a zimtohrli MOS of 3.1 .. 3.5 at
0 dB, 4.2 .. 4.6 at -10 and 4.8 .. 4.9 at -15; MP3 has -19 .. -22 dB and 4.9. Nor does the mean see what is taken away:
digital silence in place of the sound has -5.5 .. -7.4 dB, with 4 .. 6 % of the cells above the threshold, and MOS 2.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One measure of a change."""

    title: str
    unit: str
    """With the range, where it has one."""
    good: str
    blind: str
    """What it says nothing of."""


_SNR_BLIND = "hearing: where, when and under what the change lies"
_MASK_BLIND = "what is taken away; phase and echo; how loud it is really played (full scale is taken for 96 dB SPL)"
METRICS: dict[str, Metric] = {
    "snr_db": Metric("SNR, mono fold", "dB", "more; inf is no change", _SNR_BLIND),
    "file_snr_db": Metric("SNR, all channels", "dB", "more; inf is no change", _SNR_BLIND),
    "segsnr_db": Metric("segmental SNR", "dB, -10 .. 35", "more; 35 is the most", "masking; changes beyond its bounds"),
    "peak": Metric("largest change", "of full scale", "less", "all but one sample"),
    "level_db": Metric("level of the change", "dB of full scale", "less", "the sound that it is added to"),
    "changed_share": Metric("samples changed", "of all, 0 .. 1", "less", "by how much"),
    "level_difference_lu": Metric("loudness of the sound", "LU, after - before", "0", "all but loudness"),
    "nmr_db": Metric("noise to mask, mean", "dB", "-15 or less", f"which cells; in which channel; {_MASK_BLIND}"),
    "nmr_worst_frame_db": Metric("noise to mask, worst frame", "dB", "-5 or less", f"how long; {_MASK_BLIND}"),
    "share_above_threshold": Metric("cells above threshold", "of all, 0 .. 1", "0", f"by how much; {_MASK_BLIND}"),
    "nmr_worst_channel_db": Metric(
        "noise to mask, worst channel", "dB", "-15 or less", f"the other ear; {_MASK_BLIND}"
    ),
    "share_above_threshold_channels": Metric(
        "cells above threshold, all channels", "of all, 0 .. 1", "0", f"by how much; {_MASK_BLIND}"
    ),
    "zimtohrli_distance": Metric("zimtohrli distance", "0 .. 1", "0", "gain (nearly), polarity, a delay of a sample"),
    "zimtohrli_mos": Metric(
        "zimtohrli MOS", "1 bad .. 5 no difference heard", "over 4.5", "gain (nearly), polarity, a delay of a sample"
    ),
    "visqol_mos": Metric("ViSQOL MOS", "1 bad .. 4.73 no difference", "over 4.5", "gain, polarity, delay; under 1 s"),
    "rate_hz": Metric("compared at", "Hz", "", ""),
    "lag_samples": Metric("moved by", "samples", "0", ""),
    "left_out_samples": Metric("left out", "samples", "0", ""),
}
"""By the name of the field of `subterfuge.hearing.compare.Difference`."""
