"""librosa's numbers in torch, batched and differentiable: the last axis of a wave is time."""

from __future__ import annotations

from subterfuge.dsp.mean25 import librosa_mean_25

__all__ = ["librosa_mean_25"]
