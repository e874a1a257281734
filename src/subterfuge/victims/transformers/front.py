"""The feature extractors of Hugging Face's audio classifiers in torch, so that gradients reach the wave.

Each front end takes waves (N, T), float32 or float64, and gives what the extractor itself gives of each row, called as
the library's pipeline calls it: the inputs of the model by name, with the rows along the first axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from subterfuge.victims.transformers.fbank import Fbank

Front = Callable[[Tensor], dict[str, Tensor]]
"""Waves (N, T) -> the model's inputs by name."""


@dataclass(frozen=True)
class Normalised:
    """The wave itself, of zero mean and unit variance (`Wav2Vec2FeatureExtractor`; HuBERT, WavLM, SEW, UniSpeech)."""

    normalise: bool
    mask: bool
    """Whether the model is also told that every sample counts."""

    def __call__(self, wave: Tensor) -> dict[str, Tensor]:
        """Give input_values (N, T), and attention_mask (N, T) where it is asked for."""
        heard = wave
        if self.normalise:
            variance = wave.var(-1, correction=0, keepdim=True)
            heard = (wave - wave.mean(-1, keepdim=True)) / (variance + 1e-7).sqrt()
        mask = {"attention_mask": torch.ones_like(wave, dtype=torch.int32)} if self.mask else {}
        return {"input_values": heard} | mask


@dataclass(frozen=True)
class Spectrogram:
    """The logarithms of a mel spectrogram of fixed length (`ASTFeatureExtractor`)."""

    fbank: Fbank
    frames: int
    """Frames that the model takes: fewer are filled up with zeros, more are not heard."""
    mean: float
    scale: float
    """Mean and twice the standard deviation of the training data's frames; 0 and 1 leave them alone."""

    def __call__(self, wave: Tensor) -> dict[str, Tensor]:
        """Give input_values (N, frames, mels)."""
        heard = self.fbank(wave[..., : self.fbank.samples(self.frames)])
        filled = pad(heard, (0, 0, 0, self.frames - heard.shape[1]))
        return {"input_values": (filled - self.mean) / self.scale}


@dataclass(frozen=True)
class Paired:
    """A log-mel spectrogram, each band normalised, its frames in groups (`SeamlessM4TFeatureExtractor`)."""

    fbank: Fbank
    group: int
    filler: float

    def __call__(self, wave: Tensor) -> dict[str, Tensor]:
        """Give input_features (N, F // group, group * mels), and attention_mask (N, F // group)."""
        heard = self.fbank(wave * 2**15)
        variance = heard.var(1, correction=1, keepdim=True)
        heard = (heard - heard.mean(1, keepdim=True)) / (variance + 1e-7).sqrt()
        count = heard.shape[1]
        filled = pad(heard, (0, 0, 0, count % 2), value=self.filler)
        groups = filled.shape[1] // self.group
        grouped = filled[:, : groups * self.group].reshape(len(wave), groups, -1)
        counts = (torch.arange(groups, device=wave.device) * self.group + 1 < count).to(torch.int32)
        return {"input_features": grouped, "attention_mask": counts.expand(len(wave), -1)}


@dataclass(frozen=True)
class Whisper:
    """A mel spectrogram of thirty seconds, no lower than 80 dB under its highest (`WhisperFeatureExtractor`)."""

    samples: int
    filler: float
    n_fft: int
    hop: int
    filters: Tensor
    """float32 (bins, mels)."""
    mask: bool

    def __call__(self, wave: Tensor) -> dict[str, Tensor]:
        """Give input_features (N, mels, frames), and attention_mask (N, samples) where it is asked for."""
        heard = wave[..., : self.samples]
        filled = pad(heard, (0, self.samples - heard.shape[-1]), value=self.filler)
        window = torch.hann_window(self.n_fft, dtype=wave.dtype, device=wave.device)
        spectrum = torch.stft(filled, self.n_fft, self.hop, window=window, return_complex=True)[..., :-1]
        bands = self.filters.to(wave).mT @ spectrum.abs().square()
        log = bands.clamp_min(1e-10).log10()
        log = torch.maximum(log, log.amax((1, 2), keepdim=True) - 8)
        counts = (torch.arange(self.samples, device=wave.device) < heard.shape[-1]).to(torch.int32)
        mask = {"attention_mask": counts.expand(len(wave), -1)} if self.mask else {}
        return {"input_features": (log + 4) / 4} | mask


@dataclass(frozen=True)
class Found:
    """What there is to an extractor."""

    front: Front | None
    """Its re-expression, or None."""
    why: str | None = None
    """Why there is none, in one clause."""
    heard_seconds: float | None = None
    """How much of a clip it hears, where that has an end."""


def front_of(extractor: Any) -> Found:
    """Give the re-expression of a feature extractor of the library ``transformers``."""
    kind = type(extractor)
    make = FRONTS.get(kind.__name__) if kind.__module__.startswith("transformers.") else None
    if make is None:
        known = ", ".join(FRONTS)
        return Found(None, f"its extractor, {kind.__name__}, has no differentiable re-expression (those of {known} do)")
    return make(extractor)


def _normalised(extractor: Any) -> Found:
    return Found(Normalised(bool(extractor.do_normalize), bool(extractor.return_attention_mask)))


def _spectrogram(extractor: Any) -> Found:
    fbank = Fbank.of(extractor, "hann")
    mean, scale = (extractor.mean, 2 * extractor.std) if extractor.do_normalize else (0.0, 1.0)
    front = Spectrogram(fbank, int(extractor.max_length), float(mean), float(scale))
    return Found(front, heard_seconds=fbank.samples(front.frames) / extractor.sampling_rate)


def _paired(extractor: Any) -> Found:
    if extractor.stride not in (1, 2):
        return Found(None, f"its extractor groups {extractor.stride} frames, where 1 or 2 were expected")
    return Found(Paired(Fbank.of(extractor, "povey"), int(extractor.stride), float(extractor.padding_value)))


def _whisper(extractor: Any) -> Found:
    seconds = extractor.n_samples / extractor.sampling_rate
    if getattr(extractor, "dither", 0.0):
        why = f"its extractor adds new noise to every question (dither = {extractor.dither:g})"
        return Found(None, why, seconds)
    filters = torch.as_tensor(extractor.mel_filters).float()
    sizes = int(extractor.n_fft), int(extractor.hop_length)
    mask = bool(extractor.return_attention_mask)
    front = Whisper(int(extractor.n_samples), float(extractor.padding_value), *sizes, filters, mask)
    return Found(front, heard_seconds=seconds)


FRONTS: dict[str, Callable[[Any], Found]] = {
    "Wav2Vec2FeatureExtractor": _normalised,
    "ASTFeatureExtractor": _spectrogram,
    "SeamlessM4TFeatureExtractor": _paired,
    "WhisperFeatureExtractor": _whisper,
}
"""From the class of an extractor to its front end."""
