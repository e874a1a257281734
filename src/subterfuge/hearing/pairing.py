"""Two files of one sound, made comparable: another rate, another number of channels, another length, a delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from subterfuge.audio import Clip
from subterfuge.audio.rates import to_rate
from subterfuge.errors import ClipError
from subterfuge.hearing.alignment import ALIKE, OVERLAP, Lag, find_lag
from subterfuge.hearing.compare import Difference, compare


def compare_files(
    before: Clip,
    after: Clip,
    rate_hz: int | None = None,
    *,
    align: bool = False,
    visqol: bool | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Difference:
    """Measure how one file differs from another, and say in its notes what that took.

    Another rate: the second is resampled to that of the first. Other channels: the folds are compared. Another length:
    the two are laid over each other where they correlate most, and what overlaps is compared. One length, but a lag:
    measured as they are, and told; with `align` what overlaps at that lag.

    Args:
        before: the first.
        after: the second.
        rate_hz: at which the mono folds are compared; that of the first if None.
        align: whether sounds of one length are aligned too.
        visqol: as in `compare`.
        progress: as in `compare`.

    Raises:
        ClipError: the lengths differ, and there is no lag at which 80 % of the longer correlates by 0.7 or more.
        MissingExtra: ViSQOL was asked for, and is not installed.
    """
    notes = []
    home, other = before.sample_rate, after.sample_rate
    if other != home:
        notes.append(
            f"{after.name} has {other} Hz and was resampled to the {home} Hz of {before.name}; what is measured on the "
            "files' own samples is left out"
        )
        channels = [to_rate(channel.astype(np.float32), other, home) for channel in after.samples]
        after = replace(after, samples=np.stack(channels), sample_rate=home)
    if before.channels != after.channels:
        notes.append(f"channels: {before.channels} and {after.channels}, so the means over the channels are compared")
    lag = find_lag(before.mono(home), after.mono(home))
    if before.frames == after.frames and not align:
        if lag.believable and lag.samples:
            notes.append(f"{after.name} is {_late(lag, home)}: measured as it is; to measure without that, add --align")
        lag = replace(lag, samples=0)
    elif lag.believable:
        notes.append(_told(before, after, lag))
    elif before.frames == after.frames:
        notes.append("no lag was found, so they are measured as they are")
    else:
        raise ClipError(
            f"{before.name} has {before.frames} samples at {home} Hz and {after.name} {after.frames}, and they "
            f"cannot be aligned: the best lag ({lag.samples}) correlates {lag.correlation:.2f}; {ALIKE:g} or more over "
            f"{100 * OVERLAP:g} % of the longer was expected of two versions of one sound. Cut them to one length"
        )
    if lag.believable and lag.correlation < 0:
        notes.append("the polarity is turned: the change is twice the sound; the models of hearing do not mind")
    longest = max(before.frames, after.frames)
    first, second = _overlap(before, after, lag.samples)
    found = compare(first, second, rate_hz, visqol=visqol, progress=progress)
    if other != home:
        nothing = dict.fromkeys(
            ("file_snr_db", "peak", "changed_share", "nmr_worst_channel_db", "share_above_threshold_channels")
        )
        found = replace(found, **nothing)  # type: ignore[arg-type]
    return replace(found, lag_samples=lag.samples, left_out_samples=longest - first.frames, notes=tuple(notes))


def _overlap(before: Clip, after: Clip, lag: int) -> tuple[Clip, Clip]:
    """Cut two clips of one rate to what overlaps if the second is late by `lag` samples."""
    begin, end = max(0, -lag), min(before.frames, after.frames - lag)
    return (
        replace(before, samples=before.samples[:, begin:end]),
        replace(after, samples=after.samples[:, begin + lag : end + lag]),
    )


def _late(lag: Lag, rate: int) -> str:
    way = "late" if lag.samples > 0 else "early"
    return f"{abs(lag.samples)} samples ({1000 * abs(lag.samples) / rate:.1f} ms) {way}"


def _told(before: Clip, after: Clip, lag: Lag) -> str:
    lengths = "" if before.frames == after.frames else f"{before.frames} samples and {after.frames}: "
    moved = f"{after.name} is {_late(lag, before.sample_rate)}" if lag.samples else "they begin together"
    left = max(before.frames, after.frames) - lag.overlap
    return f"{lengths}{moved}, the {lag.overlap} that overlap are compared, {left} are left out"
