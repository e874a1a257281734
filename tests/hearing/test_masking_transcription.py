"""The masking threshold against its equations, written out slowly: plain numbers, one frame and one line at a time.

`transcribed` shares no code with the library: levels stay in dB, maskers in lists, tables are copied out in full.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from subterfuge.audio import Clip
from subterfuge.hearing.masking import masking_threshold
from subterfuge.training.demo_data import embedded_clips

REACH = {
    256: [(3, 62, 2), (63, 125, 3)],
    512: [(3, 62, 2), (63, 126, 3), (127, 250, 6)],
    1024: [(3, 62, 2), (63, 126, 3), (127, 254, 6), (255, 500, 12)],
    2048: [(3, 62, 2), (63, 126, 3), (127, 254, 6), (255, 510, 12), (511, 1000, 24)],
    4096: [(3, 62, 2), (63, 126, 3), (127, 254, 6), (255, 510, 12), (511, 1022, 24), (1023, 2000, 48)],
}
"""First and last line, and how far around it a tonal masker stands out: 512 is layer I's table, 1024 layer II's."""


def bark(f: float) -> float:
    return 13 * math.atan(0.00076 * f) + 3.5 * math.atan((f / 7500) ** 2)


def quiet(f: float) -> float:
    if f == 0:
        return 12.0
    f /= 1000
    return min(12.0, 3.64 * f**-0.8 - 6.5 * math.exp(-0.6 * (f - 3.3) ** 2) + 1e-3 * f**4)


def power_sum(levels: Sequence[float]) -> float:
    total = sum(10 ** (level / 10) for level in levels)
    return 10 * math.log10(total) if total else -math.inf


def spreading(dz: float, X: float) -> float:
    if -3 <= dz < -1:
        return 17 * (dz + 1) - (0.4 * X + 6)
    if -1 <= dz < 0:
        return (0.4 * X + 6) * dz
    if 0 <= dz < 1:
        return -17 * dz
    if 1 <= dz < 8:
        return -(dz - 1) * (17 - 0.15 * X) - 17
    return -math.inf


def one_frame(X: Sequence[float], rate: int, n: int) -> list[float]:
    """Turn the levels of the n / 2 + 1 lines of a frame, dB SPL, into its global masking threshold, dB SPL."""
    z = [bark(k * rate / n) for k in range(n // 2 + 1)]
    LTq = [quiet(k * rate / n) for k in range(n // 2 + 1)]

    tonal, used = [], set()
    for first, last, reach in REACH[n]:
        for k in range(first, last + 1):
            if X[k] > X[k - 1] and X[k] >= X[k + 1] and X[k] > -math.inf:
                around = [X[k + side * j] for j in range(2, reach + 1) for side in (-1, 1)]
                if all(X[k] - level >= 7 for level in around):
                    tonal.append((k, power_sum([X[k - 1], X[k], X[k + 1]])))
                    used |= set(range(k - reach, k + reach + 1))
    noise = []
    for band in range(int(z[-1]) + 1):
        lines = [k for k in range(1, n // 2) if band <= z[k] < band + 1]
        if lines:
            place = round(math.sqrt(lines[0] * lines[-1]))
            noise.append((place, power_sum([X[k] for k in lines if k not in used])))

    tonal = [(k, level) for k, level in tonal if level >= LTq[k]]
    noise = [(k, level) for k, level in noise if level >= LTq[k]]
    kept = []
    for k, level in tonal:
        rivals = [(other, its) for other, its in tonal if other != k and abs(z[other] - z[k]) < 0.5]
        if not any(its > level or (its == level and other < k) for other, its in rivals):
            kept.append((k, level))

    threshold = []
    for i in range(n // 2 + 1):
        single = [LTq[i]]
        for k, level in kept:
            single.append(level - 1.525 - 0.275 * z[k] - 4.5 + spreading(z[i] - z[k], level))
        for k, level in noise:
            single.append(level - 1.525 - 0.175 * z[k] - 0.5 + spreading(z[i] - z[k], level))
        threshold.append(power_sum(single))
    return threshold


def transcribed(
    wave: NDArray[np.floating], rate: int, *, frames: Sequence[int], full_scale_db: float = 96
) -> NDArray[np.float64]:
    """Give the threshold of some frames of a wave (T,) in dB SPL, shape (F, those frames)."""
    n = min(REACH, key=lambda n: abs(math.log(n / rate / (2048 / 44100))))
    padded = np.concatenate([np.zeros(n // 2), np.asarray(wave, dtype=np.float64), np.zeros(n)])
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * i / n) for i in range(n)]
    out = []
    for frame in frames:
        spectrum = np.fft.rfft(padded[frame * n // 4 :][:n] * hann)
        amplitudes = [abs(complex(line)) / (n / 4) for line in spectrum]
        X = [full_scale_db + 20 * math.log10(a) if a else -math.inf for a in amplitudes]
        out.append(one_frame(X, rate, n))
    return np.array(out).T


def ours(
    wave: NDArray[np.floating], rate: int, *, frames: Sequence[int], full_scale_db: float = 96
) -> NDArray[np.float64]:
    threshold = masking_threshold(torch.from_numpy(wave), rate, full_scale_db=full_scale_db)
    return 10 * np.log10(threshold.numpy().astype(np.float64)[:, list(frames)]) + full_scale_db


def phrase(rate: int, seconds: float, *, seed: int = 0) -> NDArray[np.float32]:
    """Compose decaying harmonics, a vibrato, noise that comes and goes, and a hum, of random pitches and levels."""
    die = np.random.default_rng(seed)
    t = np.arange(int(rate * seconds)) / rate
    wave = 0.003 * die.normal(size=len(t)) * (1 + np.sin(2 * np.pi * 1.7 * t)) + 1e-3 * np.sin(2 * np.pi * 50 * t)
    for pitch in die.uniform(80, 1500, 4):
        for harmonic in range(1, int(min(16, 0.45 * rate / pitch)) + 1):
            tone = np.sin(2 * np.pi * pitch * harmonic * t + 0.5 * np.sin(2 * np.pi * 5 * t) + die.uniform(0, 6))
            wave += die.uniform(0, 0.1) / harmonic * tone * np.exp(-harmonic * t)
    return wave.astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000])
def test_the_threshold_is_that_of_the_equations_at_every_rate(rate: int) -> None:
    wave, frames = phrase(rate, 0.4, seed=rate), [0, 9, 17, 25]
    assert np.abs(ours(wave, rate, frames=frames) - transcribed(wave, rate, frames=frames)).max() < 0.01


@pytest.mark.parametrize("path", embedded_clips(), ids=lambda path: path.name[:5])
def test_the_threshold_of_an_instrument_is_that_of_the_equations(path: Path) -> None:
    clip, frames = Clip.read(path), [2, 60, 131, 200]
    wave = clip.mono(clip.sample_rate)
    assert np.abs(ours(wave, 44100, frames=frames) - transcribed(wave, 44100, frames=frames)).max() < 0.01


def test_the_threshold_of_recorded_music_is_that_of_the_equations(seed_study: Path) -> None:
    for path in sorted((seed_study / "clips").glob("*.wav")):
        wave, frames = Clip.read(path).mono(44100), range(5, 255, 40)
        assert np.abs(ours(wave, 44100, frames=frames) - transcribed(wave, 44100, frames=frames)).max() < 0.1


tones = st.tuples(st.floats(20, 4000), st.floats(-100, 0), st.floats(0, 2 * math.pi))


@settings(max_examples=60)
@given(st.lists(tones, max_size=8), st.floats(-140, -20), st.sampled_from([8000, 16000]), st.floats(60, 120))
@example([], -140, 8000, 96)
def test_the_threshold_of_any_mixture_is_that_of_the_equations(
    mixture: list[tuple[float, float, float]], noise_db: float, rate: int, full_scale_db: float
) -> None:
    t = np.arange(1100) / rate
    wave = 10 ** (noise_db / 20) * np.random.default_rng(0).normal(size=len(t))
    for hz, level_db, phase in mixture:
        wave += 10 ** (level_db / 20) * np.sin(2 * math.pi * hz * t + phase)
    told = {"frames": [2], "full_scale_db": full_scale_db}
    assert np.abs(ours(wave, rate, **told) - transcribed(wave, rate, **told)).max() < 0.01


def test_the_transcription_knows_a_lone_tone_by_hand() -> None:
    n, k = 512, 64
    X = [-math.inf] * (n // 2 + 1)
    X[k] = 60.0
    hz, threshold = 16000 * k / n, one_frame(X, 16000, n)
    z = bark(hz)
    assert hz == 2000
    assert z == pytest.approx(13 * cmath.atan(1.52).real + 3.5 * cmath.atan((2 / 7.5) ** 2).real)
    assert threshold[k] == pytest.approx(60 - 6.025 - 0.275 * z, abs=1e-3)
