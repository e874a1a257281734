"""librosa's numbers in torch, batched and differentiable.

Waves are (..., T), spectra (..., bins, frames), features a frame (..., 1, frames), as in librosa. Values are
librosa's; where a value has no useful gradient (`spectral_rolloff`, `zero_crossing_rate`) the gradient is
that of a smooth surrogate, which the module states as an equation.
"""

from __future__ import annotations

from subterfuge.dsp.cepstrum import mfcc, power_to_db
from subterfuge.dsp.crossings import zero_crossing_rate
from subterfuge.dsp.level import rms
from subterfuge.dsp.mean25 import librosa_mean_25
from subterfuge.dsp.mel import melspectrogram
from subterfuge.dsp.rolloff import soft_rolloff, spectral_rolloff
from subterfuge.dsp.spectral import spectral_bandwidth, spectral_centroid
from subterfuge.dsp.stft import magnitude, stft

__all__ = [
    "librosa_mean_25",
    "magnitude",
    "melspectrogram",
    "mfcc",
    "power_to_db",
    "rms",
    "soft_rolloff",
    "spectral_bandwidth",
    "spectral_centroid",
    "spectral_rolloff",
    "stft",
    "zero_crossing_rate",
]
